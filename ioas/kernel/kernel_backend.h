// Address spaces in the kernel's iommufd.
#ifndef IOAS_KERNEL_KERNEL_BACKEND_H_
#define IOAS_KERNEL_KERNEL_BACKEND_H_

#include <atomic>
#include <cstdint>
#include <span>

#include "ioas/backend.h"
#include "ioas/base/result.h"
#include "ioas/kernel/system_calls.h"
#include "ioas/mapping_index.h"
#include "ioas/range.h"

namespace ioas::kernel {

// Memory that belongs to a file rather than to a process.
struct FileMemory {
  int fd;  // whoever asked for it closes it
  uint64_t offset;
};

// Knows what memory is a file's.
class FileMemorySource {
 public:
  // The file of `size` bytes of this process's memory at `user_address`. ENOENT if it is none that
  // is known, and what the kernel says where it makes no file of it.
  virtual Result<FileMemory> Find(uint64_t user_address, uint64_t size) = 0;

 protected:
  ~FileMemorySource() = default;
};

// All of them outlive who has them, and may be null.
struct FileMemorySources {
  FileMemorySource* bars = nullptr;    // what the kernel maps by its file only: BARs, as DMA-BUFs
  FileMemorySource* shared = nullptr;  // what another process may have as well: memfds
};

// Each mapping is one of the IOAS that the handle names, at the same IOVA; the kernel pins its
// memory while a device is attached. The handle's descriptor must be this process's.
class KernelBackend final : public Backend {
 public:
  // `calls` outlives it.
  explicit KernelBackend(SystemCalls& calls, FileMemorySources files = {})
      : calls_(&calls), files_(files) {}

  // What the devices that are attached to `space`, which has to be its /dev/iommu's compat IOAS,
  // can map. `apertures` is filled in and referred to; of more than fit the lowest are taken.
  // Reserved ranges are cut out of the apertures already. Errors are iommufd's.
  Result<IommuProperties> ReadProperties(const IoasHandle& space,
                                         std::span<IovaRange> apertures) const;

  // Fails with what type 1's MAP_DMA could say as well:
  //   EINVAL, ENOMEM, EFAULT, EEXIST, ENOSPC       as they are
  //   EINTR, EAGAIN, EBUSY, EDQUOT, EMFILE, ENFILE ENOMEM: it lacked something and may not later
  //   all others                                   EINVAL
  // Memory that cannot be mapped as such (EFAULT) is mapped by its file, if that can be, and so is
  // what may pass to another process: its mm would stay charged otherwise.
  Status Map(const IoasHandle& space, const Mapping& mapping) override;
  // A mapping that the kernel does not have any more is unmapped. All other errors are EINVAL.
  Status Unmap(const IoasHandle& space, const Mapping& mapping) override;
  void UnmapAll(const IoasHandle& space, MappingIndex& mappings) override;
  void Discard(const IoasHandle& space, const IovaRange& range) override;
  // Where a mapping is no file's nothing changes, and the process that made it stays charged.
  Status ChangeProcess(const IoasHandle& space) override;

  // Windows. Errors are those of Map; memory that the kernel cannot pin is EFAULT.
  Result<uint32_t> Pin(const IoasHandle& space, const MemoryRange& memory) override;
  void Unpin(const IoasHandle& space, const PinnedMemory& pinned) override;
  Status MapRun(const IoasHandle& space, const PageRun& run) override;
  // What lies beside the range stays reachable, all the time. EINVAL.
  Status UnmapRange(const IoasHandle& space, const IovaRange& iovas) override;

  bool StartDirtyTracking(const IoasHandle& space) override;
  void StopDirtyTracking(const IoasHandle& space) override;
  bool ReadDirtyPages(const IoasHandle& space, const IovaRange& range, uint64_t page_size,
                      uint64_t* words) override;

 private:
  // Whether the address space uses the smallest pages only, which only an empty one can change to.
  // EINVAL.
  Status MapSinglePages(const IoasHandle& space);
  void MapLargePages(const IoasHandle& space);
  // MapRun of memory that lies at `from` in the registry.
  Status CopyRun(const IoasHandle& space, const PageRun& run, uint64_t from);
  // Gives up all that is pinned.
  void DropRegistry(const IoasHandle& space);

  Status MapByFile(FileMemorySource* source, const IoasHandle& space, const Mapping& mapping);

  SystemCalls* calls_;
  FileMemorySources files_;
  std::atomic<bool> maps_files_{true};  // until the kernel has said that it has no such call
};

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_KERNEL_BACKEND_H_
