// What containers of a host can be, as the settings have it: type 1, SPAPR TCE, or either.
#ifndef PPC_CONTAINER_PERSONALITY_H_
#define PPC_CONTAINER_PERSONALITY_H_

#include "compat/settings/settings.h"
#include "compat/type1/type1.h"
#include "compat/vfio/personality.h"
#include "ppc/spapr.h"

namespace ppc {

// Hands each container's calls to the personality of its type. As in the kernel, where several
// drivers are asked in turn until one says yes (drivers/vfio/container.c), a container without an
// IOMMU has the extensions of all.
class ContainerPersonality final : public compat::vfio::Personality {
 public:
  explicit ContainerPersonality(const compat::settings::Settings& settings);

  long CheckExtension(uint64_t extension,
                      const compat::vfio::ContainerState* container) const override;
  bool Offers(uint64_t type) const override;
  uint32_t MappingLimit(compat::decode::ContainerType type) const override;
  ioas::Status Admit(const compat::vfio::ContainerContext& context,
                     compat::decode::ContainerType type, uint32_t groups) const override;
  ioas::Status Open(const compat::vfio::ContainerContext& context,
                    compat::decode::ContainerType type) const override;
  void Close(const compat::vfio::ContainerContext& context) const override;
  ioas::Result<compat::vfio::Removed> Remove(const compat::vfio::ContainerContext& context,
                                             const ioas::IovaRange& range,
                                             bool dry_run) const override;
  ioas::Status TrackDirty(const compat::vfio::ContainerContext& context, bool track,
                          bool dry_run) const override;
  ioas::Result<compat::vfio::DirtyPages> ReadDirty(const compat::vfio::ContainerContext& context,
                                                   const ioas::IovaRange& range,
                                                   std::span<uint64_t> bits) const override;
  ioas::Status CheckCaller(const compat::vfio::ContainerContext& context) const override;
  ioas::Result<long> Call(const compat::vfio::ContainerContext& context,
                          const compat::decode::DecodedCall& call) const override;

 private:
  const compat::vfio::Personality& Of(compat::decode::ContainerType type) const;

  compat::settings::ContainerTypes offered_;
  const compat::type1::Type1Personality& type1_ = compat::type1::Type1();
  Spapr spapr_;
};

}  // namespace ppc

#endif  // PPC_CONTAINER_PERSONALITY_H_
