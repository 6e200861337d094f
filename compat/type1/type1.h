// The type 1 personality: VFIO_TYPE1_IOMMU and VFIO_TYPE1v2_IOMMU containers.
//
// Answers as drivers/vfio/vfio_iommu_type1.c of Linux 6.12 does, errno and byte. What differs is in
// tests/conformance/deviations.txt.
#ifndef COMPAT_TYPE1_TYPE1_H_
#define COMPAT_TYPE1_TYPE1_H_

#include "compat/vfio/personality.h"

namespace compat::type1 {

// The kernel's default of the module parameter dma_entry_limit.
inline constexpr uint32_t kMappingLimit = 65535;

class Type1Personality final : public vfio::Personality {
 public:
  long CheckExtension(uint64_t extension, const vfio::ContainerState* container) const override;
  bool Offers(uint64_t type) const override;
  uint32_t MappingLimit(decode::ContainerType /*type*/) const override;
  // EBUSY for another group while a mapping's address is invalid, since its memory might have to be
  // pinned then (vfio_iommu_type1_attach_group).
  ioas::Status Admit(const vfio::ContainerContext& context, decode::ContainerType type,
                     uint32_t groups) const override;
  ioas::Status Open(const vfio::ContainerContext& context,
                    decode::ContainerType /*type*/) const override;
  void Close(const vfio::ContainerContext& context) const override;
  ioas::Result<vfio::Removed> Remove(const vfio::ContainerContext& context,
                                     const ioas::IovaRange& range, bool dry_run) const override;
  ioas::Status TrackDirty(const vfio::ContainerContext& context, bool track,
                          bool dry_run) const override;
  ioas::Result<vfio::DirtyPages> ReadDirty(const vfio::ContainerContext& context,
                                           const ioas::IovaRange& range,
                                           std::span<uint64_t> bits) const override;
  ioas::Result<long> Call(const vfio::ContainerContext& context,
                          const decode::DecodedCall& call) const override;
};

// The personality itself; it has no state.
const Type1Personality& Type1();

}  // namespace compat::type1

#endif  // COMPAT_TYPE1_TYPE1_H_
