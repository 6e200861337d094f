// VFIO_IOMMU_MAP_DMA (vfio_dma_do_map). The order of the checks is the kernel's.
#include "compat/abi/vfio_container.h"
#include "compat/events/events.h"
#include "compat/type1/calls.h"
#include "compat/type1/dirty_bitmap.h"

namespace compat::type1 {
namespace {

static_assert(abi::kDmaMapFlagRead == ioas::kAccessRead &&
              abi::kDmaMapFlagWrite == ioas::kAccessWrite);
uint32_t AccessOf(uint32_t flags) { return flags & (ioas::kAccessRead | ioas::kAccessWrite); }

// Size, alignment and wrap.
ioas::Status CheckRange(const abi::DmaMap& map, uint64_t page_size) {
  if (map.size == 0 || ((map.size | map.iova | map.vaddr) & (page_size - 1)) != 0) [[unlikely]] {
    return ioas::Error{EINVAL, "size, IOVA and address must be multiples of the page size"};
  }
  if (map.iova + map.size - 1 < map.iova || map.vaddr + map.size - 1 < map.vaddr) [[unlikely]] {
    return ioas::Error{EINVAL, "the range wraps around"};
  }
  return {};
}

// FLAG_VADDR: gives a mapping whose address was made invalid a new one.
[[gnu::noinline]] ioas::Status UpdateAddress(const vfio::ContainerContext& context,
                                             ioas::AddressSpace& space, const abi::DmaMap& map) {
  ioas::MappingIndex index = space.mappings();
  const uint64_t last = map.iova + map.size - 1;
  // The kernel's search compares with the range's end, which wraps to 0 at the top of the space.
  const auto mapping =
      last == UINT64_MAX ? std::nullopt : index.FindFirstOverlapping(map.iova, last);
  if (!mapping) return ioas::Error{ENOENT, "nothing is mapped there"};
  if ((mapping->flags & kAddressInvalid) == 0 || mapping->first != map.iova ||
      mapping->last != last) {
    return ioas::Error{EINVAL, "not a whole mapping whose address is invalid"};
  }
  ioas::Mapping changed = *mapping;
  changed.user_address = map.vaddr;
  changed.owner = context.process;
  changed.flags &= ~kAddressInvalid;
  IOAS_RETURN_IF_ERROR(context.backend->ChangeOwner(context.handle, *mapping, changed));
  if (context.container->invalid_addresses == 1) {
    IOAS_RETURN_IF_ERROR(context.backend->ChangeProcess(context.handle));
  }
  index.Update(map.iova, [&](ioas::Mapping& updated) { updated = changed; });
  --context.container->invalid_addresses;
  return {};
}

// Maps, with a bitmap.
[[gnu::noinline]] ioas::Status MapTracked(const vfio::ContainerContext& context,
                                          ioas::AddressSpace& space, const ioas::Mapping& mapping) {
  IOAS_RETURN_IF_ERROR(space.Map(mapping));
  ioas::Result<uint32_t> bitmap = AllocateBitmap(*context.arena, mapping, space.page_size());
  if (!bitmap.ok()) {
    (void)space.Unmap(mapping);
    return bitmap.error();
  }
  space.mappings().Update(mapping.first, [&](ioas::Mapping& mapped) { mapped.extra = *bitmap; });
  return {};
}

ioas::Status MapNew(const vfio::ContainerContext& context, ioas::AddressSpace& space,
                    const abi::DmaMap& map) {
  ioas::Mapping mapping{.first = map.iova,
                        .last = map.iova + map.size - 1,
                        .user_address = map.vaddr,
                        .owner = context.process,
                        .flags = AccessOf(map.flags)};
  if (mapping.last == UINT64_MAX) [[unlikely]] {
    // No aperture reaches there, and the kernel's search for an overlap finds nothing.
    return ioas::Error{EINVAL, "the range is not inside one usable IOVA range"};
  }
  if (context.container->dirty_tracking != 0) [[unlikely]]
    return MapTracked(context, space, mapping);
  return space.Map(mapping);
}

}  // namespace

[[gnu::hot, gnu::flatten]] ioas::Result<long> MapDma(const vfio::ContainerContext& context,
                                                     const decode::DecodedCall& call) {
  abi::DmaMap map;
  IOAS_RETURN_IF_ERROR(call.CopyIn(map));
  const bool update_address = (map.flags & abi::kDmaMapFlagVaddr) != 0;
  if (update_address == (AccessOf(map.flags) != 0)) [[unlikely]] {
    return ioas::Error{EINVAL, "either READ or WRITE is needed, or VADDR alone"};
  }

  ioas::AddressSpace space = context.space();
  ioas::AddressSpace::Lock lock(space);
  IOAS_RETURN_IF_ERROR(CheckStillOpen(context));
  IOAS_RETURN_IF_ERROR(CheckRange(map, space.page_size()));
  if (update_address) [[unlikely]] {
    IOAS_RETURN_IF_ERROR(UpdateAddress(context, space, map));
    return 0L;
  }
  IOAS_RETURN_IF_ERROR(MapNew(context, space, map));
  events::Emit(session::EventKind::kMapped, context.container->number,
               {.first = map.iova,
                .last = map.iova + map.size - 1,
                .value = map.vaddr,
                .access = AccessOf(map.flags)});
  return 0L;
}

}  // namespace compat::type1
