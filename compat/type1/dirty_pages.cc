// VFIO_IOMMU_DIRTY_PAGES (vfio_iommu_type1_dirty_pages), and the same for an operator.
#include <algorithm>

#include "compat/abi/vfio_container.h"
#include "compat/type1/calls.h"
#include "compat/type1/dirty_bitmap.h"

namespace compat::type1 {
namespace {

constexpr uint64_t kWordBits = 64;

void FreeBitmaps(const vfio::ContainerContext& context, ioas::AddressSpace& space, uint64_t end) {
  ioas::MappingIndex index = space.mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping && mapping->first < end;
       mapping = index.Next(mapping->first)) {
    FreeBitmap(*context.arena, *mapping, space.page_size());
    index.Update(mapping->first, [](ioas::Mapping& updated) { updated.extra = 0; });
  }
}

ioas::Status Start(const vfio::ContainerContext& context, ioas::AddressSpace& space) {
  // What was recorded for an operator is the program's from now on.
  context.container->is_tracked_for_operator = 0;
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
  context.container->dirty_tracking = 0;
  context.container->is_tracked_for_operator = 0;
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
  if (!IsTracking(*context.container)) {
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
      if (IsTracking(*context.container)) Stop(context, space);
      return 0L;
    case abi::kIommuDirtyPagesFlagGetBitmap:
      IOAS_RETURN_IF_ERROR(GetBitmap(context, space, call, *range));
      return 0L;
    default:
      return ioas::Error{EINVAL, "exactly one of START, STOP and GET_BITMAP is needed"};
  }
}

ioas::Status TrackDirty(const vfio::ContainerContext& context, bool track, bool dry_run) {
  vfio::ContainerState& container = *context.container;
  if (container.type != decode::ContainerType::kType1v2) {
    return ioas::Error{EOPNOTSUPP, "type 1 version 1 has no dirty tracking"};
  }
  if (IsTracking(container)) {
    return ioas::Error{EBUSY, "the program tracks what is written itself"};
  }
  const bool is_on = container.dirty_tracking != 0;
  if (dry_run || track == is_on) return {};
  ioas::AddressSpace space = context.space();
  if (track) {
    IOAS_RETURN_IF_ERROR(Start(context, space));
    container.is_tracked_for_operator = 1;
  } else {
    Stop(context, space);
  }
  return {};
}

ioas::Result<vfio::DirtyPages> ReadDirty(const vfio::ContainerContext& context,
                                         const ioas::IovaRange& range, std::span<uint64_t> bits) {
  IOAS_RETURN_IF_ERROR(TrackDirty(context, true, /*dry_run=*/true));
  if (context.container->dirty_tracking == 0) return ioas::Error{EINVAL, "nothing is recorded"};
  ioas::AddressSpace space = context.space();
  const uint64_t page_size = space.page_size();
  if (((range.first | (range.last + 1)) & (page_size - 1)) != 0 || range.first > range.last) {
    return ioas::Error{EINVAL, "the range must consist of pages"};
  }
  ioas::MappingIndex index = space.mappings();
  auto mapping = index.FindFirstOverlapping(range.first, range.last);
  if (!mapping) return vfio::DirtyPages{.first = 0, .pages = 0, .page_size = page_size};
  const uint64_t first = std::max(mapping->first, range.first);
  uint64_t next = first;
  // The backend counts bits from the beginning of a word.
  while (mapping && mapping->first <= next && next <= range.last && !bits.empty() &&
         (next - first) / page_size % kWordBits == 0) {
    const uint64_t most = next + (bits.size() * kWordBits * page_size - 1);
    const uint64_t last = std::min({mapping->last, range.last, most < next ? UINT64_MAX : most});
    const uint64_t pages = (last - next + 1) / page_size;
    ReadBits(context, {next, last}, page_size, bits.data());
    bits = bits.subspan((pages + kWordBits - 1) / kWordBits);
    next = last + 1;
    if (last == mapping->last) mapping = index.Next(mapping->first);
  }
  return vfio::DirtyPages{
      .first = first, .pages = (next - first) / page_size, .page_size = page_size};
}

}  // namespace compat::type1
