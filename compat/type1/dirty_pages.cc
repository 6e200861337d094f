// VFIO_IOMMU_DIRTY_PAGES (vfio_iommu_type1_dirty_pages).
#include "compat/abi/vfio_container.h"
#include "compat/type1/calls.h"
#include "compat/type1/dirty_bitmap.h"

namespace compat::type1 {
namespace {

void FreeBitmaps(const vfio::ContainerContext& context, ioas::AddressSpace& space, uint64_t end) {
  ioas::MappingIndex index = space.mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping && mapping->first < end;
       mapping = index.Next(mapping->first)) {
    FreeBitmap(*context.arena, *mapping, space.page_size());
    index.Update(mapping->first, [](ioas::Mapping& updated) { updated.extra = 0; });
  }
}

ioas::Status Start(const vfio::ContainerContext& context, ioas::AddressSpace& space) {
  if (context.container->dirty_tracking != 0) return {};
  ioas::MappingIndex index = space.mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    const ioas::Result<uint32_t> bitmap =
        AllocateBitmap(*context.arena, *mapping, space.page_size());
    if (!bitmap.ok()) {
      FreeBitmaps(context, space, mapping->first);
      return bitmap.error();
    }
    index.Update(mapping->first, [&](ioas::Mapping& updated) { updated.extra = *bitmap; });
  }
  context.container->dirty_tracking = 1;
  context.container->is_dirty_recorded =
      context.backend->StartDirtyTracking(context.handle) ? 1 : 0;
  return {};
}

void Stop(const vfio::ContainerContext& context, ioas::AddressSpace& space) {
  if (context.container->dirty_tracking == 0) return;
  context.container->dirty_tracking = 0;
  context.backend->StopDirtyTracking(context.handle);
  FreeBitmaps(context, space, UINT64_MAX);
}

ioas::Status CheckRange(const abi::DirtyBitmapGet& range, uint64_t page_size,
                        ioas::MappingIndex& index) {
  if (range.bitmap.pgsize != page_size || (range.iova & (page_size - 1)) != 0 || range.size == 0 ||
      (range.size & (page_size - 1)) != 0) {
    return ioas::Error{EINVAL, "range and bitmap must be of the smallest page size"};
  }
  const auto at_first = index.FindContaining(range.iova);
  const auto at_last = index.FindContaining(range.iova + range.size - 1);
  if ((at_first && at_first->first != range.iova) ||
      (at_last && at_last->last != range.iova + range.size - 1)) {
    return ioas::Error{EINVAL, "the range bisects a mapping"};
  }
  return {};
}

ioas::Status GetBitmap(const vfio::ContainerContext& context, ioas::AddressSpace& space,
                       const decode::DecodedCall& call, const abi::DirtyBitmapGet& range) {
  ioas::MappingIndex index = space.mappings();
  const uint64_t page_size = space.page_size();
  IOAS_RETURN_IF_ERROR(CheckRange(range, page_size, index));
  if (context.container->dirty_tracking == 0) {
    return ioas::Error{EINVAL, "dirty tracking is off"};
  }
  const uint64_t last = range.iova + range.size - 1;
  for (auto mapping = index.FindFirstOverlapping(range.iova, last);
       mapping && mapping->first <= last; mapping = index.Next(mapping->first)) {
    IOAS_RETURN_IF_ERROR(
        CopyOutBitmap(context, *mapping, {*call.memory, range.bitmap.data, range.iova, page_size}));
    ClearBitmap(*context.arena, *mapping, page_size);
  }
  return {};
}

// Copies in what GET_BITMAP needs and checks what the kernel checks before it takes the lock.
ioas::Result<abi::DirtyBitmapGet> CopyInRange(const decode::DecodedCall& call,
                                              const abi::DirtyBitmap& dirty) {
  if (dirty.argsz - sizeof(dirty) < sizeof(abi::DirtyBitmapGet)) {
    return ioas::Error{EINVAL, "argsz has no room for the range"};
  }
  const auto range = call.CopyInBehind<abi::DirtyBitmapGet>(sizeof(abi::DirtyBitmap));
  if (!range.ok()) return range;
  if (range->iova + range->size < range->iova) {
    return ioas::Error{EINVAL, "the range wraps around"};
  }
  IOAS_RETURN_IF_ERROR(CheckBitmap(range->bitmap, range->size));
  return range;
}

}  // namespace

ioas::Result<long> DirtyPages(const vfio::ContainerContext& context,
                              const decode::DecodedCall& call) {
  if (context.container->type == decode::ContainerType::kType1) {
    return ioas::Error{EACCES, "type 1 version 1 has no dirty tracking"};
  }
  const ioas::Result<abi::DirtyBitmap> dirty = call.CopyIn<abi::DirtyBitmap>();
  if (!dirty.ok()) return dirty.error();

  ioas::Result<abi::DirtyBitmapGet> range = abi::DirtyBitmapGet{};
  if (dirty->flags == abi::kIommuDirtyPagesFlagGetBitmap) {
    range = CopyInRange(call, *dirty);
    if (!range.ok()) return range.error();
  }

  ioas::AddressSpace space = context.space();
  ioas::AddressSpace::Lock lock(space);
  IOAS_RETURN_IF_ERROR(CheckStillOpen(context));
  switch (dirty->flags) {
    case abi::kIommuDirtyPagesFlagStart:
      IOAS_RETURN_IF_ERROR(Start(context, space));
      return 0L;
    case abi::kIommuDirtyPagesFlagStop:
      Stop(context, space);
      return 0L;
    case abi::kIommuDirtyPagesFlagGetBitmap:
      IOAS_RETURN_IF_ERROR(GetBitmap(context, space, call, *range));
      return 0L;
    default:
      return ioas::Error{EINVAL, "exactly one of START, STOP and GET_BITMAP is needed"};
  }
}

}  // namespace compat::type1
