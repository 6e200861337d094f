// What carries an address space out: the software host, or the kernel's iommufd.
#ifndef IOAS_BACKEND_H_
#define IOAS_BACKEND_H_

#include <cstdint>
#include <span>

#include "ioas/base/result.h"
#include "ioas/range.h"

namespace ioas {

// What a device may do to a mapping. Values are those that lie in Mapping::flags.
enum Access : uint32_t {
  kAccessRead = 1u << 0,
  kAccessWrite = 1u << 1,
};

// What a backend's IOMMU is like. Address spaces take it over when they are made.
struct IommuProperties {
  uint64_t page_sizes;                   // a bit for each page size that it can map
  std::span<const IovaRange> apertures;  // what it can translate, ascending
  std::span<const IovaRange> reserved;   // what it keeps for itself (interrupts), ascending
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual IommuProperties properties() const = 0;

  // Makes `size` bytes of this process's memory at `user_address` reachable for devices, now and
  // until Unpin: faulted in, and of the kind that `access` (Access bits) needs. Both are page
  // aligned. EFAULT if any of it is not there or may not be written, ENOMEM beyond the
  // locked-memory limit of the process. Behaviour: vfio_pin_pages_remote in
  // drivers/vfio/vfio_iommu_type1.c.
  virtual Status Pin(uint64_t user_address, uint64_t size, uint32_t access) = 0;
  // Undoes Pin for `size` bytes of `process`'s memory (an index in the ProcessTable), which may
  // be another than the caller's.
  virtual void Unpin(uint32_t process, uint64_t size) = 0;
};

}  // namespace ioas

#endif  // IOAS_BACKEND_H_
