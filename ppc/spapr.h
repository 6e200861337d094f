// The SPAPR TCE personality: VFIO_SPAPR_TCE_IOMMU and VFIO_SPAPR_TCE_v2_IOMMU containers.
//
// Answers as drivers/vfio/vfio_iommu_spapr_tce.c of Linux 6.12 does, errno and byte, on the POWER
// machine that a profile describes. What differs is in tests/conformance/deviations.txt.
#ifndef PPC_SPAPR_H_
#define PPC_SPAPR_H_

#include "compat/vfio/personality.h"
#include "ppc/platform.h"

namespace ppc {

class Spapr final : public compat::vfio::Personality {
 public:
  // Containers that are made from now on are like `platform`; those that are there stay as they
  // are.
  explicit Spapr(const PlatformProfile& platform) : platform_(platform) {}

  long CheckExtension(uint64_t extension,
                      const compat::vfio::ContainerState* container) const override;
  bool Offers(uint64_t type) const override;
  uint32_t MappingLimit(compat::decode::ContainerType /*type*/) const override { return 0; }
  ioas::Status Admit(const compat::vfio::ContainerContext& context,
                     compat::decode::ContainerType type, uint32_t groups) const override;
  ioas::Status Open(const compat::vfio::ContainerContext& context,
                    compat::decode::ContainerType type) const override;
  void Close(const compat::vfio::ContainerContext& context) const override;
  ioas::Result<compat::vfio::Removed> Remove(const compat::vfio::ContainerContext& context,
                                             const ioas::IovaRange& range,
                                             bool dry_run) const override;
  ioas::Status CheckCaller(const compat::vfio::ContainerContext& context) const override;
  ioas::Result<long> Call(const compat::vfio::ContainerContext& context,
                          const compat::decode::DecodedCall& call) const override;

 private:
  PlatformProfile platform_;
};

}  // namespace ppc

#endif  // PPC_SPAPR_H_
