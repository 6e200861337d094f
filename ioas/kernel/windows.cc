// The windows of an address space, and the memory that is pinned for them.
//
// What is pinned is mapped in an IOAS of its own, the registry, whose page table no device is
// attached to: that holds the pages, and copies of parts of it share them. The address space itself
// maps with the smallest pages only, so that the kernel can cut mappings without taking anything
// away that lies beside the cut (iopt_area_split in io_pagetable.c).
#include "compat/abi/iommufd.h"
#include "ioas/kernel/iommufd.h"
#include "ioas/kernel/kernel_backend.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi::iommufd;

// Places are numbered by pages, so that they fit into PinnedMemory::place.
constexpr uint32_t kPlaceShift = 12;

constexpr uint32_t kReadWrite = kAccessRead | kAccessWrite;

constexpr Error kNoRegistry = {EINVAL, "no device is attached to the address space"};

uint64_t SizeOf(const IovaRange& range) { return range.last - range.first + 1; }

// What a SPAPR container could have said (tce_iommu_build in vfio_iommu_spapr_tce.c).
Error RunError(const Error& error) {
  return error.code == EFAULT || error.code == EINVAL ? error : Error{ENOMEM, error.reason};
}

// Makes the registry, if it is not there yet.
Status MakeRegistry(const Iommufd& iommufd, PinRegistry& registry) {
  if (registry.hwpt != 0) return {};
  if (registry.device == 0) return kNoRegistry;
  if (registry.ioas == 0) {
    const Result<uint32_t> ioas = iommufd.AllocIoas();
    if (!ioas.ok()) return ioas.error();
    registry.ioas = *ioas;
  }
  const Result<uint32_t> hwpt =
      iommufd.AllocHwpt({.device = registry.device, .parent = registry.ioas});
  if (!hwpt.ok()) return hwpt.error();
  registry.hwpt = *hwpt;
  return {};
}

// Maps memory of this process somewhere in the registry. Returns where.
Result<uint64_t> MapInRegistry(const Iommufd& iommufd, PinRegistry& registry,
                               const MemoryRange& memory, uint32_t access) {
  IOAS_RETURN_IF_ERROR(MakeRegistry(iommufd, registry));
  return iommufd.MapAnywhere(registry.ioas, memory.first, memory.size(), access);
}

}  // namespace

Status KernelBackend::MapSinglePages(const IoasHandle& space) {
  if (space.registry == nullptr) return kNoRegistry;
  if (space.registry->maps_single_pages != 0) return {};
  IOAS_RETURN_IF_ERROR(
      Iommufd(*calls_, space.iommufd).SetOption(abi::kOptionHugePages, space.ioas, 0));
  space.registry->maps_single_pages = 1;
  return {};
}

void KernelBackend::MapLargePages(const IoasHandle& space) {
  if (Iommufd(*calls_, space.iommufd).SetOption(abi::kOptionHugePages, space.ioas, 1).ok()) {
    space.registry->maps_single_pages = 0;
  }
}

void KernelBackend::DropRegistry(const IoasHandle& space) {
  if (space.registry == nullptr || space.registry->ioas == 0) return;
  const Iommufd iommufd(*calls_, space.iommufd);
  if (space.registry->hwpt != 0) (void)iommufd.Destroy(space.registry->hwpt);
  (void)iommufd.Destroy(space.registry->ioas);
  space.registry->ioas = 0;
  space.registry->hwpt = 0;
}

Result<uint32_t> KernelBackend::Pin(const IoasHandle& space, const MemoryRange& memory) {
  if (space.registry == nullptr) return kNoRegistry;
  const Iommufd iommufd(*calls_, space.iommufd);
  const Result<uint64_t> iova = MapInRegistry(iommufd, *space.registry, memory, kReadWrite);
  if (!iova.ok()) return RunError(iova.error());
  if (*iova >> kPlaceShift > UINT32_MAX) {
    (void)iommufd.Unmap({space.registry->ioas, *iova}, memory.size());
    return Error{ENOMEM, "there is no more room to pin memory"};
  }
  return static_cast<uint32_t>(*iova >> kPlaceShift);
}

void KernelBackend::Unpin(const IoasHandle& space, const PinnedMemory& pinned) {
  if (space.registry == nullptr) return;
  // What is not there any more is unpinned; of other errors there is nobody to tell.
  (void)Iommufd(*calls_, space.iommufd)
      .Unmap({space.registry->ioas, uint64_t{pinned.place} << kPlaceShift}, pinned.memory.size());
}

Status KernelBackend::CopyRun(const IoasHandle& space, const PageRun& run, uint64_t from) {
  const Iommufd iommufd(*calls_, space.iommufd);
  const auto copy = [&] {
    return iommufd.Copy({space.ioas, run.iovas.first}, {space.registry->ioas, from},
                        SizeOf(run.iovas), run.access);
  };
  Status copied = copy();
  if (!copied.ok() && copied.error().code == EEXIST) {
    copied = UnmapRange(space, run.iovas);
    if (copied.ok()) copied = copy();
  }
  if (copied.ok()) return {};
  (void)UnmapRange(space, run.iovas);
  // EFAULT would say that nothing has changed.
  return Error{ENOMEM, copied.error().reason};
}

Status KernelBackend::MapRun(const IoasHandle& space, const PageRun& run) {
  IOAS_RETURN_IF_ERROR(MapSinglePages(space));
  if (run.pin) {
    const uint64_t offset = run.user_address - run.pin->memory.first;
    return CopyRun(space, run, (uint64_t{run.pin->place} << kPlaceShift) + offset);
  }
  const Iommufd iommufd(*calls_, space.iommufd);
  const Status mapped =
      iommufd.Map({space.ioas, run.iovas.first}, run.user_address, SizeOf(run.iovas), run.access);
  if (mapped.ok()) return {};
  if (mapped.error().code == EFAULT) return mapped;
  if (mapped.error().code != EEXIST) {
    (void)UnmapRange(space, run.iovas);
    return RunError(mapped.error());
  }
  // Something is to be replaced: only when the memory is known to be there.
  const MemoryRange memory = {run.user_address, run.user_address + (SizeOf(run.iovas) - 1)};
  const Result<uint64_t> pinned = MapInRegistry(iommufd, *space.registry, memory, run.access);
  if (!pinned.ok()) {
    if (pinned.error().code == EFAULT) return pinned.error();
    (void)UnmapRange(space, run.iovas);
    return RunError(pinned.error());
  }
  Status copied = CopyRun(space, run, *pinned);
  (void)iommufd.Unmap({space.registry->ioas, *pinned}, memory.size());
  return copied;
}

Status KernelBackend::UnmapRange(const IoasHandle& space, const IovaRange& iovas) {
  const Status unmapped = Iommufd(*calls_, space.iommufd).CutAndUnmap(iovas.first, SizeOf(iovas));
  if (unmapped.ok()) return {};
  return Error{EINVAL, unmapped.error().reason};
}

}  // namespace ioas::kernel
