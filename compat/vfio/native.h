// iommufd's own files, on hosts that have them: what compat/native makes of them.
#ifndef COMPAT_VFIO_NATIVE_H_
#define COMPAT_VFIO_NATIVE_H_

#include <cstdint>

#include "compat/vfio/platform.h"
#include "ioas/base/result.h"

namespace compat::vfio {

// All functions but the calls need the host's lock.
class Native {
 public:
  // open() of /dev/iommu: returns where the new context lies in the arena. ENOMEM.
  virtual ioas::Result<uint32_t> NewContext(Host& host) const = 0;
  // The file of `context` is `slot`, or could not be opened: 0.
  virtual void OnContextOpened(Host& host, uint32_t context, uint32_t slot) const = 0;
  // Its file has ended.
  virtual void EndContext(Host& host, uint32_t context) const = 0;
  // The cdev file `slot` of `device` has ended.
  virtual void EndCdev(Host& host, uint32_t device, uint32_t slot) const = 0;

  // ioctl() on a context, and on a cdev that is `slot`. Return what it returns.
  virtual ioas::Result<long> ContextIoctl(Host& host, uint32_t context, uint32_t slot,
                                          const CallArguments& arguments) const = 0;
  virtual ioas::Result<long> CdevIoctl(Host& host, uint32_t device, uint32_t slot, int fd,
                                       const CallArguments& arguments) const = 0;

 protected:
  ~Native() = default;
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_NATIVE_H_
