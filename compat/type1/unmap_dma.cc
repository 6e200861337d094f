// VFIO_IOMMU_UNMAP_DMA (vfio_iommu_type1_unmap_dma, vfio_dma_do_unmap).
#include "compat/abi/vfio_container.h"
#include "compat/events/events.h"
#include "compat/type1/calls.h"
#include "compat/type1/dirty_bitmap.h"

namespace compat::type1 {
namespace {

// Unmaps `mapping`, which lies at `place`.
[[gnu::always_inline]] inline ioas::Status RemoveAt(const vfio::ContainerContext& context,
                                                    ioas::AddressSpace& space,
                                                    const ioas::MappingIndex::Place& place,
                                                    const ioas::Mapping& mapping) {
  IOAS_RETURN_IF_ERROR(space.Unmap(place, mapping));
  if ((mapping.flags & kAddressInvalid) != 0) [[unlikely]]
    --context.container->invalid_addresses;
  if (mapping.extra != 0) [[unlikely]]
    FreeBitmap(*context.arena, mapping, space.page_size());
  events::Emit(session::EventKind::kUnmapped, context.container->number,
               {.first = mapping.first, .last = mapping.last});
  return {};
}

// One UNMAP_DMA on its way.
class Unmapping {
 public:
  Unmapping(const vfio::ContainerContext& context, ioas::AddressSpace& space,
            const decode::DecodedCall& call, const abi::DmaUnmap& unmap, const abi::Bitmap& bitmap)
      : context_(context),
        space_(space),
        index_(space.mappings()),
        call_(call),
        unmap_(unmap),
        bitmap_(bitmap) {}

  // Unmaps, or makes addresses invalid. Returns how many bytes of mappings that were.
  ioas::Result<uint64_t> Run() {
    IOAS_RETURN_IF_ERROR(Check());
    if (IsAll()) return Walk(0, UINT64_MAX);
    const uint64_t last = unmap_.iova + unmap_.size - 1;
    // The kernel compares with the range's end, which wraps to 0 at the top of the space: then no
    // mapping lies below it, and nothing is unmapped.
    if (last == UINT64_MAX)
      return CheckBisection(last).ok() ? ioas::Result<uint64_t>(0) : Bisected();
    IOAS_RETURN_IF_ERROR(CheckBisection(last));
    return Walk(unmap_.iova, last);
  }

 private:
  bool Has(uint32_t flag) const { return (unmap_.flags & flag) != 0; }
  bool IsAll() const { return Has(abi::kDmaUnmapFlagAll); }
  bool IsV2() const { return context_.container->type == decode::ContainerType::kType1v2; }
  static ioas::Error Bisected() {
    return {EINVAL, "the range bisects a mapping, which type 1 version 2 refuses"};
  }

  ioas::Status Check() const {
    const uint64_t page_size = space_.page_size();
    if ((unmap_.iova & (page_size - 1)) != 0) {
      return ioas::Error{EINVAL, "the IOVA must be a multiple of the page size"};
    }
    if (IsAll()) {
      if (unmap_.iova != 0 || unmap_.size != 0) {
        return ioas::Error{EINVAL, "FLAG_ALL takes no range"};
      }
    } else if (unmap_.size == 0 || (unmap_.size & (page_size - 1)) != 0 ||
               unmap_.iova + unmap_.size - 1 < unmap_.iova) {
      return ioas::Error{EINVAL, "the size must be a multiple of the page size, without wrapping"};
    }
    if (Has(abi::kDmaUnmapFlagGetDirtyBitmap) &&
        (!IsTracking(*context_.container) || bitmap_.pgsize != page_size)) {
      return ioas::Error{EINVAL, "dirty tracking is off, or the bitmap's page size is another"};
    }
    return {};
  }

  ioas::Status CheckBisection(uint64_t last) const {
    if (!IsV2()) return {};
    const auto at_first = index_.FindContaining(unmap_.iova);
    if (at_first && at_first->first != unmap_.iova) return Bisected();
    const auto at_last = index_.FindContaining(last);
    if (at_last && at_last->last != last) return Bisected();
    return {};
  }

  ioas::Result<uint64_t> Walk(uint64_t first, uint64_t last) {
    const auto start = index_.FindFirstOverlapping(first, last);
    uint64_t bytes = 0;
    for (auto mapping = start; mapping && mapping->first <= last;
         mapping = index_.Next(mapping->first)) {
      // Version 1 unmaps a mapping whole if its first address is covered, and otherwise nothing.
      if (!IsV2() && first > mapping->first) break;
      if (Has(abi::kDmaUnmapFlagVaddr)) {
        if (!Invalidate(*mapping)) {
          UndoInvalidation(start->first, mapping->first);
          return ioas::Error{EINVAL, "a mapping's address is invalid already"};
        }
      } else {
        IOAS_RETURN_IF_ERROR(Remove(index_.Find(mapping->first), *mapping));
      }
      bytes += mapping->last - mapping->first + 1;
    }
    return bytes;
  }

  ioas::Status Remove(const ioas::MappingIndex::Place& place, const ioas::Mapping& mapping) {
    if (Has(abi::kDmaUnmapFlagGetDirtyBitmap)) {
      IOAS_RETURN_IF_ERROR(CopyOutBitmap(
          context_, mapping, {*call_.memory, bitmap_.data, unmap_.iova, bitmap_.pgsize}));
    }
    return RemoveAt(context_, space_, place, mapping);
  }

  bool Invalidate(const ioas::Mapping& mapping) {
    if ((mapping.flags & kAddressInvalid) != 0) return false;
    ioas::Mapping invalid = mapping;
    invalid.flags |= kAddressInvalid;
    context_.backend->KeepReachable(context_.handle, invalid);
    index_.Update(mapping.first, [&](ioas::Mapping& updated) { updated = invalid; });
    ++context_.container->invalid_addresses;
    return true;
  }

  // Makes the mappings from `first` up to the one before `end` valid again.
  void UndoInvalidation(uint64_t first, uint64_t end) {
    for (auto mapping = index_.FindContaining(first); mapping && mapping->first < end;
         mapping = index_.Next(mapping->first)) {
      index_.Update(mapping->first,
                    [](ioas::Mapping& updated) { updated.flags &= ~kAddressInvalid; });
      --context_.container->invalid_addresses;
    }
  }

  const vfio::ContainerContext& context_;
  ioas::AddressSpace& space_;
  ioas::MappingIndex index_;
  const decode::DecodedCall& call_;
  const abi::DmaUnmap& unmap_;
  const abi::Bitmap& bitmap_;
};

// What FLAG_GET_DIRTY_BITMAP needs.
ioas::Result<abi::Bitmap> CopyInBitmap(const decode::DecodedCall& call,
                                       const abi::DmaUnmap& unmap) {
  if ((unmap.flags & (abi::kDmaUnmapFlagAll | abi::kDmaUnmapFlagVaddr)) != 0) {
    return ioas::Error{EINVAL, "GET_DIRTY_BITMAP goes with neither ALL nor VADDR"};
  }
  if (unmap.argsz < sizeof(abi::DmaUnmap) + sizeof(abi::Bitmap)) {
    return ioas::Error{EINVAL, "argsz has no room for the bitmap"};
  }
  const auto bitmap = call.CopyInBehind<abi::Bitmap>(sizeof(abi::DmaUnmap));
  if (!bitmap.ok()) return bitmap;
  IOAS_RETURN_IF_ERROR(CheckBitmap(*bitmap, unmap.size));
  return bitmap;
}

// What UNMAP_DMA does with the lock held. Returns how many bytes it unmapped.
[[gnu::noinline]] ioas::Result<uint64_t> UnmapAny(const vfio::ContainerContext& context,
                                                  ioas::AddressSpace& space,
                                                  const decode::DecodedCall& call,
                                                  const abi::DmaUnmap& unmap,
                                                  const abi::Bitmap& bitmap) {
  return Unmapping(context, space, call, unmap, bitmap).Run();
}

// The same without flags. Mostly it is one mapping, exactly: then none is bisected, and version 1
// has it unmapped too.
[[gnu::always_inline]] inline ioas::Result<uint64_t> UnmapPlainly(
    const vfio::ContainerContext& context, ioas::AddressSpace& space,
    const decode::DecodedCall& call, const abi::DmaUnmap& unmap) {
  const ioas::MappingIndex::Place place = space.mappings().Find(unmap.iova);
  const auto mapping = ioas::MappingIndex::At(place);
  const bool is_aligned = ((unmap.iova | unmap.size) & (space.page_size() - 1)) == 0;
  if (mapping && mapping->first == unmap.iova && mapping->last == unmap.iova + unmap.size - 1 &&
      is_aligned) [[likely]] {
    IOAS_RETURN_IF_ERROR(RemoveAt(context, space, place, *mapping));
    return unmap.size;
  }
  return UnmapAny(context, space, call, unmap, {});
}

// The call with flags. Apart from the one without, which is measurably slower if it has room for a
// bitmap.
[[gnu::noinline]] ioas::Result<long> UnmapWithFlags(const vfio::ContainerContext& context,
                                                    const decode::DecodedCall& call,
                                                    abi::DmaUnmap unmap) {
  ioas::Result<abi::Bitmap> bitmap = abi::Bitmap{};
  if ((unmap.flags & abi::kDmaUnmapFlagGetDirtyBitmap) != 0) {
    bitmap = CopyInBitmap(call, unmap);
    if (!bitmap.ok()) return bitmap.error();
  }
  {
    ioas::AddressSpace space = context.space();
    ioas::AddressSpace::Lock lock(space);
    IOAS_RETURN_IF_ERROR(CheckStillOpen(context));
    const ioas::Result<uint64_t> bytes = UnmapAny(context, space, call, unmap, *bitmap);
    if (!bytes.ok()) return bytes.error();
    unmap.size = *bytes;
  }
  IOAS_RETURN_IF_ERROR(call.CopyOut(unmap));
  return 0L;
}

}  // namespace

[[gnu::hot, gnu::flatten]] ioas::Result<long> UnmapDma(const vfio::ContainerContext& context,
                                                       const decode::DecodedCall& call) {
  abi::DmaUnmap unmap;
  IOAS_RETURN_IF_ERROR(call.CopyIn(unmap));
  if (unmap.flags != 0) [[unlikely]]
    return UnmapWithFlags(context, call, unmap);
  {
    ioas::AddressSpace space = context.space();
    ioas::AddressSpace::Lock lock(space);
    IOAS_RETURN_IF_ERROR(CheckStillOpen(context));
    const ioas::Result<uint64_t> bytes = UnmapPlainly(context, space, call, unmap);
    if (!bytes.ok()) return bytes.error();
    unmap.size = *bytes;
  }
  IOAS_RETURN_IF_ERROR(call.CopyOut(unmap));
  return 0L;
}

}  // namespace compat::type1
