// What carries an address space out: the software host, or the kernel's iommufd.
#ifndef IOAS_BACKEND_H_
#define IOAS_BACKEND_H_

#include <cstdint>
#include <span>

#include "ioas/base/result.h"
#include "ioas/mapping_index.h"
#include "ioas/range.h"
#include "ioas/tracking_tables.h"

namespace ioas {

// What a device may do to a mapping. Values are those that lie in Mapping::flags.
enum Access : uint32_t {
  kAccessRead = 1u << 0,
  kAccessWrite = 1u << 1,
};

// What an IOMMU is like, for a set of devices. Address spaces take it over.
struct IommuProperties {
  uint64_t page_sizes;                    // a bit for each page size that it can map
  std::span<const IovaRange> apertures;   // what it can translate, ascending
  std::span<const IovaRange> reserved;    // what it keeps for itself (interrupts), ascending
  bool enforces_cache_coherency = false;  // devices cannot get past the caches (PCI no-snoop)
};

// Where a backend finds an address space. The software host's lie in the arena and need none.
struct IoasHandle {
  int iommufd = -1;   // this process's descriptor of /dev/iommu
  uint32_t ioas = 0;  // the IOAS's object number there
  TrackingTables* tables = nullptr;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Makes `mapping`, whose range is free, be there: its memory (of this process, page aligned) is
  // reachable for devices, now and until Unmap, faulted in and of the kind that its Access bits
  // need. EFAULT if any of it is not there or may not be written, ENOMEM beyond the locked-memory
  // limit of the process. Behaviour: vfio_pin_pages_remote in drivers/vfio/vfio_iommu_type1.c.
  virtual Status Map(IoasHandle space, const Mapping& mapping) = 0;
  // Undoes Map for the whole of `mapping`, whose memory may be another process's. Fails only if
  // nothing has changed.
  virtual Status Unmap(IoasHandle space, const Mapping& mapping) = 0;
  // Undoes Map for all of `mappings`, which are about to be dropped.
  virtual void UnmapAll(IoasHandle space, MappingIndex& mappings) {
    for (auto mapping = mappings.FindFirstOverlapping(0, UINT64_MAX); mapping;
         mapping = mappings.Next(mapping->first)) {
      (void)Unmap(space, *mapping);
    }
  }
  // A process died while it mapped or unmapped `range`, so that nobody knows whether it is there:
  // makes sure that it is not.
  virtual void Discard(IoasHandle space, const IovaRange& range) = 0;

  // Begins to record which pages devices write. Returns false if that cannot be: each page that a
  // device may write has to count as written then.
  virtual bool StartDirtyTracking(IoasHandle /*space*/) { return false; }
  virtual void StopDirtyTracking(IoasHandle /*space*/) {}
  // Sets a bit in `words`, which are 0, for each page of `page_size` of `range` that was written
  // since the last time; all of the range is mapped. Returns false if that is not known.
  virtual bool ReadDirtyPages(IoasHandle /*space*/, const IovaRange& /*range*/,
                              uint64_t /*page_size*/, uint64_t* /*words*/) {
    return false;
  }
};

}  // namespace ioas

#endif  // IOAS_BACKEND_H_
