// The descriptors of the process that calls, as far as a call needs them.
#ifndef COMPAT_VFIO_DESCRIPTORS_H_
#define COMPAT_VFIO_DESCRIPTORS_H_

#include <cstdint>

#include "ioas/base/result.h"

namespace compat::vfio {

class Descriptors {
 public:
  // The file slot that `fd` stands for; 0 if it is a descriptor of something else. EBADF if it is
  // not open.
  virtual ioas::Result<uint32_t> SlotOf(int fd) = 0;
  // A descriptor of this process that stands for `slot`; -1 if there is none.
  virtual int DescriptorOf(uint32_t slot) = 0;
  // A call has made `fd`, which stands for `slot`.
  virtual void OnNew(int fd, uint32_t slot) = 0;

 protected:
  ~Descriptors() = default;
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_DESCRIPTORS_H_
