// What carries an address space out: the software host, or the kernel's iommufd.
#ifndef IOAS_BACKEND_H_
#define IOAS_BACKEND_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ioas/base/result.h"
#include "ioas/mapping_index.h"
#include "ioas/pin_registry.h"
#include "ioas/range.h"
#include "ioas/tracking_tables.h"

namespace ioas {

// What a device may do to a mapping. Values are those that lie in Mapping::flags.
enum Access : uint32_t {
  kAccessRead = 1u << 0,
  kAccessWrite = 1u << 1,
};
// Beside them in Mapping::flags: copies of the mapping may permit writing, as its first one did.
inline constexpr uint32_t kMayPermitWriting = 1u << 2;

// What an IOMMU is like, for a set of devices. Address spaces take it over.
struct IommuProperties {
  uint64_t page_sizes;                    // a bit for each page size that it can map
  std::span<const IovaRange> apertures;   // what it can translate, ascending
  std::span<const IovaRange> reserved;    // what it keeps for itself (interrupts), ascending
  bool enforces_cache_coherency = false;  // devices cannot get past the caches (PCI no-snoop)
  // Windows (address_space.h) may lie anywhere, outside apertures and on what is reserved too.
  bool has_windows_anywhere = false;
  bool tracks_dirty_pages = false;  // its page tables can record what devices write
  // What it says of itself to those who make page tables for it (IOMMU_GET_HW_INFO): the data's
  // type, 0 for none, and the data, which lives as long as the program.
  uint32_t info_type = 0;
  std::span<const std::byte> info = {};
};

// Memory of a process: user addresses, page aligned, both ends included.
struct MemoryRange {
  uint64_t first;
  uint64_t last;

  uint64_t size() const { return last - first + 1; }
};

// Memory that Backend::Pin has pinned.
struct PinnedMemory {
  MemoryRange memory;
  uint32_t place;  // where the backend keeps it: what Pin returned
};

// Pages of a window that are to lead to consecutive memory of this process.
struct PageRun {
  IovaRange iovas;                  // whole pages of the window
  uint64_t user_address;            // where the first of them leads; a multiple of 4096
  uint32_t access;                  // Access bits
  std::optional<PinnedMemory> pin;  // what all of the memory lies in, if it is pinned
};

// Where a backend finds an address space. The software host's lie in the arena and need none.
struct IoasHandle {
  int iommufd = -1;   // this process's descriptor of /dev/iommu
  uint32_t ioas = 0;  // the IOAS's object number there
  TrackingTables* tables = nullptr;
  PinRegistry* registry = nullptr;
  bool may_change_process = false;  // the program may pass mappings to another process
};
inline constexpr IoasHandle kArenaOnly;

class Backend {
 public:
  virtual ~Backend() = default;

  // Makes `mapping`, whose range is free, be there: its memory (of this process, page aligned) is
  // reachable for devices, now and until Unmap, faulted in and of the kind that its Access bits
  // need. EFAULT if any of it is not there or may not be written, ENOMEM beyond the locked-memory
  // limit of the process. Behaviour: vfio_pin_pages_remote in drivers/vfio/vfio_iommu_type1.c.
  virtual Status Map(const IoasHandle& space, const Mapping& mapping) = 0;
  // Undoes Map for the whole of `mapping`, whose memory may be another process's. Fails only if
  // nothing has changed.
  virtual Status Unmap(const IoasHandle& space, const Mapping& mapping) = 0;
  // Undoes Map for all of `mappings`, which are about to be dropped.
  virtual void UnmapAll(const IoasHandle& space, MappingIndex& mappings) {
    for (auto mapping = mappings.FindFirstOverlapping(0, UINT64_MAX); mapping;
         mapping = mappings.Next(mapping->first)) {
      (void)Unmap(space, *mapping);
    }
  }
  // Notes `mapping`, of this process, in an address space without domains: its memory need not be
  // there yet, may begin anywhere, and stays that process's until Forget. ENOMEM.
  virtual Status Keep(const IoasHandle& /*space*/, const Mapping& /*mapping*/) { return {}; }
  // Undoes Keep.
  virtual void Forget(const IoasHandle& /*space*/, const Mapping& /*mapping*/) {}
  // The program gives up the address of `mapping`, and will say where the memory is then: makes it
  // reachable until then without the process, if that can be. `mapping` is changed, not entered.
  virtual void KeepReachable(const IoasHandle& /*space*/, Mapping& /*mapping*/) {}
  // The memory of `from` is, from now on, where `to` says, which is this process's. ENOMEM beyond
  // the locked-memory limit of this process, and nothing has changed. Behaviour:
  // vfio_change_dma_owner in drivers/vfio/vfio_iommu_type1.c.
  virtual Status ChangeOwner(const IoasHandle& /*space*/, const Mapping& /*from*/,
                             const Mapping& /*to*/) {
    return {};
  }
  // All mappings are this process's now, for ChangeOwner was called for each that was another's:
  // it answers for what is pinned. ENOMEM as of ChangeOwner.
  virtual Status ChangeProcess(const IoasHandle& /*space*/) { return {}; }
  // A process died while it mapped or unmapped `range`, so that nobody knows whether it is there:
  // makes sure that it is not.
  virtual void Discard(const IoasHandle& space, const IovaRange& range) = 0;

  // --- Windows, whose pages are mapped and replaced one by one ---
  //
  // Each MAP of a program is one MapRun for each pinned range that it touches. What is pinned is
  // known by its user addresses: an address space belongs to one process then, and no two pinned
  // ranges of it overlap. They stay pinned as long as a page may lead there. What Pin returns is
  // the backend's own business, and to be given back to it.

  // Pins memory of this process for `space`, faulted in, so that MapRun may lead devices there, for
  // reading and writing, until Unpin. Adds nothing to ProcessTable's locked memory: the caller
  // does. EFAULT if any of it is not there or may not be written, ENOMEM. Behaviour:
  // mm_iommu_do_alloc in arch/powerpc/mm/book3s64/iommu_api.c.
  virtual Result<uint32_t> Pin(const IoasHandle& /*space*/, const MemoryRange& /*memory*/) {
    return NoWindows();
  }
  // Undoes Pin, of exactly that memory, where no page leads any more. It may be another process's.
  virtual void Unpin(const IoasHandle& /*space*/, const PinnedMemory& /*pinned*/) {}
  // Makes all pages of `run` lead to its memory, instead of wherever they led before. Memory that
  // is not pinned is so from now on until its page leads elsewhere: EFAULT if any of it is not
  // there or may not be written, whatever run.access, and nothing has changed; ENOMEM and others of
  // the IOMMU's: no page of `run` leads anywhere then.
  virtual Status MapRun(const IoasHandle& /*space*/, const PageRun& /*run*/) { return NoWindows(); }
  // Makes the pages of `iovas` lead nowhere, whether they led anywhere before or not. Cuts runs,
  // but no page of the window. Fails only if nothing has changed.
  virtual Status UnmapRange(const IoasHandle& /*space*/, const IovaRange& /*iovas*/) {
    return NoWindows();
  }

  // --- What devices write ---

  // Begins to record which pages devices write. Returns false if that cannot be: each page that a
  // device may write has to count as written then.
  virtual bool StartDirtyTracking(const IoasHandle& /*space*/) { return false; }
  virtual void StopDirtyTracking(const IoasHandle& /*space*/) {}
  // Sets a bit in `words`, which are 0, for each page of `page_size` of `range` that was written
  // since the last time; all of the range is mapped. Returns false if that is not known.
  virtual bool ReadDirtyPages(const IoasHandle& /*space*/, const IovaRange& /*range*/,
                              uint64_t /*page_size*/, uint64_t* /*words*/) {
    return false;
  }

 private:
  static Error NoWindows() { return {EOPNOTSUPP, "the host's IOMMU carries no windows out"}; }
};

}  // namespace ioas

#endif  // IOAS_BACKEND_H_
