#include "ioas/kernel/kernel_backend.h"

#include <algorithm>

#include "ioas/kernel/dirty_tracking.h"
#include "ioas/kernel/iommufd.h"

namespace ioas::kernel {
namespace {

// IOAS_UNMAP's length that, at IOVA 0, means everything.
constexpr uint64_t kEverything = UINT64_MAX;

uint64_t LengthOf(uint64_t first, uint64_t last) {
  return first == 0 && last == UINT64_MAX ? kEverything : last - first + 1;
}

// What type 1 could have said; see Map's table.
Error MapError(const Error& error) {
  switch (error.code) {
    case EINVAL:
    case ENOMEM:
    case EFAULT:
    case EEXIST:
    case ENOSPC:
      return error;
    case EINTR:
    case EAGAIN:
    case EBUSY:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return {ENOMEM, error.reason};
    default:
      return {EINVAL, error.reason};
  }
}

}  // namespace

Result<IommuProperties> KernelBackend::ReadProperties(const IoasHandle& space,
                                                      std::span<IovaRange> apertures) const {
  const Iommufd iommufd(*calls_, space.iommufd);
  const Result<RangeSummary> ranges = iommufd.IovaRanges(space.ioas, apertures);
  if (!ranges.ok()) return ranges.error();
  const Result<uint64_t> page_sizes = iommufd.PageSizes();
  if (!page_sizes.ok()) return page_sizes.error();
  const Result<bool> coherent = iommufd.EnforcesCacheCoherency();
  if (!coherent.ok()) return coherent.error();
  return IommuProperties{
      .page_sizes = *page_sizes,
      .apertures = apertures.first(std::min<size_t>(ranges->count, apertures.size())),
      .reserved = {},
      .enforces_cache_coherency = *coherent};
}

[[gnu::hot]] Status KernelBackend::Map(const IoasHandle& space, const Mapping& mapping) {
  if (space.registry != nullptr && space.registry->maps_single_pages != 0) [[unlikely]] {
    MapLargePages(space);
  }
  if (space.may_change_process && MapByFile(files_.shared, space, mapping).ok()) return {};
  const Status mapped =
      Iommufd(*calls_, space.iommufd)
          .MapCompat(mapping.first, mapping.user_address, LengthOf(mapping.first, mapping.last),
                     mapping.flags & (kAccessRead | kAccessWrite));
  if (mapped.ok()) return {};
  if (mapped.error().code == EFAULT && MapByFile(files_.bars, space, mapping).ok()) return {};
  return MapError(mapped.error());
}

Status KernelBackend::MapByFile(FileMemorySource* source, const IoasHandle& space,
                                const Mapping& mapping) {
  if (source == nullptr || !maps_files_.load(std::memory_order_relaxed)) {
    return Error{ENOENT, "no file is known"};
  }
  const uint64_t size = LengthOf(mapping.first, mapping.last);
  const Result<FileMemory> memory = source->Find(mapping.user_address, size);
  if (!memory.ok()) return memory.error();
  const Status mapped = Iommufd(*calls_, space.iommufd)
                            .MapFile({space.ioas, mapping.first}, memory->fd, memory->offset, size,
                                     mapping.flags & (kAccessRead | kAccessWrite));
  (*calls_)(SYS_close, memory->fd);
  if (mapped.error().code == ENOTTY) maps_files_.store(false, std::memory_order_relaxed);
  return mapped;
}

[[gnu::hot]] Status KernelBackend::Unmap(const IoasHandle& space, const Mapping& mapping) {
  const Status unmapped = Iommufd(*calls_, space.iommufd)
                              .CutAndUnmap(mapping.first, LengthOf(mapping.first, mapping.last));
  if (unmapped.ok() || unmapped.error().code == ENOENT) return {};
  return Error{EINVAL, unmapped.error().reason};
}

void KernelBackend::UnmapAll(const IoasHandle& space, MappingIndex& mappings) {
  const Iommufd iommufd(*calls_, space.iommufd);
  if (!iommufd.Unmap({space.ioas, 0}, kEverything).ok()) Backend::UnmapAll(space, mappings);
}

void KernelBackend::Discard(const IoasHandle& space, const IovaRange& range) {
  // ENOENT is what is wanted; of other errors there is nobody to tell.
  (void)Iommufd(*calls_, space.iommufd)
      .Unmap({space.ioas, range.first}, LengthOf(range.first, range.last));
  if (range.first == 0 && range.last == UINT64_MAX) DropRegistry(space);
}

Status KernelBackend::ChangeProcess(const IoasHandle& space) {
  if (!space.may_change_process) return {};
  const Status changed = Iommufd(*calls_, space.iommufd).ChangeProcess();
  if (changed.error().code == ENOMEM) return changed;
  return {};
}

bool KernelBackend::StartDirtyTracking(const IoasHandle& space) {
  if (space.tables == nullptr) return false;
  const DirtyTracking tracking({*calls_, space.iommufd}, space.ioas, *space.tables);
  return tracking.IsAvailable() && tracking.Start().ok();
}

void KernelBackend::StopDirtyTracking(const IoasHandle& space) {
  if (space.tables == nullptr) return;
  DirtyTracking({*calls_, space.iommufd}, space.ioas, *space.tables).Stop();
}

bool KernelBackend::ReadDirtyPages(const IoasHandle& space, const IovaRange& range,
                                   uint64_t page_size, uint64_t* words) {
  if (space.tables == nullptr) return false;
  const DirtyTracking tracking({*calls_, space.iommufd}, space.ioas, *space.tables);
  return tracking.IsAvailable() && tracking
                                       .ReadAndClear({.iova = range.first,
                                                      .length = range.last - range.first + 1,
                                                      .page_size = page_size,
                                                      .bitmap = reinterpret_cast<uint64_t>(words)})
                                       .ok();
}

}  // namespace ioas::kernel
