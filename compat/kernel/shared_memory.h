// Memory of files that another process may have as well: memfds, with pages of any size.
//
// iommufd maps it by its file (IOMMU_IOAS_MAP_FILE, Linux 6.13), and such mappings can pass to
// another process with what they are charged for (IOMMU_IOAS_CHANGE_PROCESS), as type 1's do
// (VFIO_DMA_MAP_FLAG_VADDR).
#ifndef COMPAT_KERNEL_SHARED_MEMORY_H_
#define COMPAT_KERNEL_SHARED_MEMORY_H_

#include <cstdint>

#include "ioas/kernel/kernel_backend.h"
#include "ioas/kernel/system_calls.h"

namespace compat::kernel {

class SharedMemory final : public ioas::kernel::FileMemorySource {
 public:
  // `calls` outlives it.
  explicit SharedMemory(ioas::kernel::SystemCalls& calls) : calls_(calls) {}

  // By a descriptor of the file that this process has: a duplicate. ENOENT also where it has none.
  ioas::Result<ioas::kernel::FileMemory> Find(uint64_t user_address, uint64_t size) override;

 private:
  ioas::kernel::SystemCalls& calls_;
};

}  // namespace compat::kernel

#endif  // COMPAT_KERNEL_SHARED_MEMORY_H_
