// The calls of a type 1 container, one function each. Internal to this folder.
#ifndef COMPAT_TYPE1_CALLS_H_
#define COMPAT_TYPE1_CALLS_H_

#include "compat/decode/decode.h"
#include "compat/vfio/personality.h"

namespace compat::type1 {

// Flags of ioas::Mapping beyond the Access bits: UNMAP_DMA with FLAG_VADDR made the mapping's
// address invalid, and MAP_DMA with FLAG_VADDR may give it a new one.
inline constexpr uint32_t kAddressInvalid = 1u << 16;

// Each returns what ioctl() returns, or the errno. They take the address space's lock.
ioas::Result<long> GetInfo(const vfio::ContainerContext& context, const decode::DecodedCall& call);
ioas::Result<long> MapDma(const vfio::ContainerContext& context, const decode::DecodedCall& call);
ioas::Result<long> UnmapDma(const vfio::ContainerContext& context, const decode::DecodedCall& call);
ioas::Result<long> DirtyPages(const vfio::ContainerContext& context,
                              const decode::DecodedCall& call);

// As vfio::Personality::Remove.
ioas::Result<vfio::Removed> Remove(const vfio::ContainerContext& context,
                                   const ioas::IovaRange& range, bool dry_run);
// As vfio::Personality::TrackDirty and ReadDirty.
ioas::Status TrackDirty(const vfio::ContainerContext& context, bool track, bool dry_run);
ioas::Result<vfio::DirtyPages> ReadDirty(const vfio::ContainerContext& context,
                                         const ioas::IovaRange& range, std::span<uint64_t> bits);

// Whether the program has dirty tracking on.
inline bool IsTracking(const vfio::ContainerState& container) {
  return container.dirty_tracking != 0 && container.is_tracked_for_operator == 0;
}

// The refusal of a call on a container that lost its IOMMU while the call was on its way.
inline ioas::Status CheckStillOpen(const vfio::ContainerContext& context) {
  if (context.container->is_revoked != 0) [[unlikely]] {
    return ioas::Error{ENODEV, "an operator has revoked the container"};
  }
  if (context.container->type == decode::ContainerType::kNone) [[unlikely]] {
    return ioas::Error{EINVAL, "the container has no IOMMU"};
  }
  return {};
}

}  // namespace compat::type1

#endif  // COMPAT_TYPE1_CALLS_H_
