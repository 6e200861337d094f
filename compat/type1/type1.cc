#include "compat/type1/type1.h"

#include "compat/abi/vfio_numbers.h"
#include "compat/type1/calls.h"
#include "compat/type1/dirty_bitmap.h"

namespace compat::type1 {

long Type1Personality::CheckExtension(uint64_t extension,
                                      const vfio::ContainerState* container) const {
  switch (extension) {
    case abi::kType1Iommu:
    case abi::kType1v2Iommu:
    case abi::kUnmapAll:
      return 1;
    case abi::kUpdateVaddr:
      return container != nullptr ? 1 : 0;
    case abi::kDmaCcIommu:
      return container != nullptr ? container->enforces_cache_coherency : 0;
    default:
      return 0;
  }
}

bool Type1Personality::Offers(uint64_t type) const {
  return type == abi::kType1Iommu || type == abi::kType1v2Iommu;
}

uint32_t Type1Personality::MappingLimit(decode::ContainerType /*type*/) const {
  return kMappingLimit;
}

ioas::Status Type1Personality::Admit(const vfio::ContainerContext& context,
                                     decode::ContainerType /*type*/, uint32_t /*groups*/) const {
  // None yet: what the container holds is of another one's time.
  if (context.container->type == decode::ContainerType::kNone) return {};
  ioas::AddressSpace space = context.space();
  ioas::AddressSpace::Lock lock(space);
  if (context.container->invalid_addresses != 0) {
    return ioas::Error{EBUSY, "the address of a mapping is invalid"};
  }
  return {};
}

ioas::Status Type1Personality::Open(const vfio::ContainerContext& context,
                                    decode::ContainerType /*type*/) const {
  context.container->dirty_tracking = 0;
  context.container->is_tracked_for_operator = 0;
  context.container->invalid_addresses = 0;
  context.container->may_change_process = 0;
  return {};
}

void Type1Personality::Close(const vfio::ContainerContext& context) const {
  ioas::AddressSpace space = context.space();
  ioas::MappingIndex index = space.mappings();
  if (context.container->dirty_tracking != 0) {
    context.backend->StopDirtyTracking(context.handle);
    for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
         mapping = index.Next(mapping->first)) {
      FreeBitmap(*context.arena, *mapping, space.page_size());
    }
    // The container's next IOMMU may be another personality's, which knows nothing of it.
    context.container->dirty_tracking = 0;
    context.container->is_tracked_for_operator = 0;
  }
  space.UnmapAll();
}

ioas::Result<vfio::Removed> Type1Personality::Remove(const vfio::ContainerContext& context,
                                                     const ioas::IovaRange& range,
                                                     bool dry_run) const {
  return type1::Remove(context, range, dry_run);
}

ioas::Status Type1Personality::TrackDirty(const vfio::ContainerContext& context, bool track,
                                          bool dry_run) const {
  return type1::TrackDirty(context, track, dry_run);
}

ioas::Result<vfio::DirtyPages> Type1Personality::ReadDirty(const vfio::ContainerContext& context,
                                                           const ioas::IovaRange& range,
                                                           std::span<uint64_t> bits) const {
  return type1::ReadDirty(context, range, bits);
}

[[gnu::hot]] ioas::Result<long> Type1Personality::Call(const vfio::ContainerContext& context,
                                                       const decode::DecodedCall& call) const {
  switch (call.row->call) {
    case decode::Call::kIommuGetInfo:
      return GetInfo(context, call);
    case decode::Call::kIommuMapDma:
      return MapDma(context, call);
    case decode::Call::kIommuUnmapDma:
      return UnmapDma(context, call);
    case decode::Call::kIommuDirtyPages:
      return DirtyPages(context, call);
    default:
      return ioas::Error{ENOTTY, "type 1 containers have no such call"};
  }
}

const Type1Personality& Type1() {
  static constexpr Type1Personality kPersonality;
  return kPersonality;
}

}  // namespace compat::type1
