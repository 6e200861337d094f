// The software host's IOMMU as address spaces see it.
#ifndef IOAS_SOFT_SOFT_BACKEND_H_
#define IOAS_SOFT_SOFT_BACKEND_H_

#include <cstdint>

#include "ioas/backend.h"
#include "ioas/process_table.h"

namespace ioas::soft {

class SoftBackend final : public Backend {
 public:
  explicit SoftBackend(ProcessTable processes) : processes_(processes) {}

  // What the IOMMU is like of devices of which nothing else is said (IommuProfile::kAuto).
  static IommuProperties properties();

  // Nothing holds the pages in place afterwards: DMA goes to whatever the process has at the
  // address by then, as long as it has anything.
  Status Map(const IoasHandle& space, const Mapping& mapping) override;
  Status Unmap(const IoasHandle& space, const Mapping& mapping) override;
  Status Keep(const IoasHandle& space, const Mapping& mapping) override;
  void Forget(const IoasHandle& space, const Mapping& mapping) override;
  // Mappings of shared files become mappings of the files, whatever becomes of the process.
  void KeepReachable(const IoasHandle& space, Mapping& mapping) override;
  Status ChangeOwner(const IoasHandle& space, const Mapping& from, const Mapping& to) override;
  // What a window leads to is faulted in once; nothing else is to be done but in the page table.
  Result<uint32_t> Pin(const IoasHandle& space, const MemoryRange& memory) override;
  Status MapRun(const IoasHandle& space, const PageRun& run) override;
  Status UnmapRange(const IoasHandle& /*space*/, const IovaRange& /*iovas*/) override { return {}; }
  // Devices translate by index and page tables, which their owner puts right; locked memory went
  // with its process.
  void Discard(const IoasHandle& /*space*/, const IovaRange& /*range*/) override {}

 private:
  Status MapOwn(const Mapping& mapping);
  Status MapPeers(const Mapping& mapping);
  Status MapFile(const Mapping& mapping);
  void Release(uint32_t file);

  ProcessTable processes_;
};

// Faults in the pages of [user_address, user_address + size), both page aligned, for reading or for
// writing, and changes nothing in them. EFAULT if any is not there or does not permit it.
Status Populate(uint64_t user_address, uint64_t size, bool writable);

// The same for kernels before 5.14, which have no call for it. Exposed for its test.
Status PopulatePageByPage(uint64_t user_address, uint64_t size, bool writable);

}  // namespace ioas::soft

#endif  // IOAS_SOFT_SOFT_BACKEND_H_
