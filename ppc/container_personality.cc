#include "ppc/container_personality.h"

#include <algorithm>

namespace ppc {

using compat::decode::ContainerType;
using compat::settings::ContainerTypes;
using compat::vfio::ContainerContext;
using compat::vfio::ContainerState;
using compat::vfio::Personality;

namespace {

bool IsSpapr(ContainerType type) {
  return type == ContainerType::kSpaprV1 || type == ContainerType::kSpaprV2;
}

}  // namespace

ContainerPersonality::ContainerPersonality(const compat::settings::Settings& settings)
    : offered_(settings.container), spapr_(ProfileOf(settings.platform, settings.tce64_start)) {}

// Also where the settings do not offer the type: another process of the host's may have.
const Personality& ContainerPersonality::Of(ContainerType type) const {
  return IsSpapr(type) ? static_cast<const Personality&>(spapr_) : type1_;
}

long ContainerPersonality::CheckExtension(uint64_t extension,
                                          const ContainerState* container) const {
  if (container != nullptr) return Of(container->type).CheckExtension(extension, container);
  long answer = 0;
  if (offered_ != ContainerTypes::kSpapr) answer = type1_.CheckExtension(extension, nullptr);
  if (offered_ != ContainerTypes::kType1) {
    answer = std::max(answer, spapr_.CheckExtension(extension, nullptr));
  }
  return answer;
}

bool ContainerPersonality::Offers(uint64_t type) const {
  return (offered_ != ContainerTypes::kSpapr && type1_.Offers(type)) ||
         (offered_ != ContainerTypes::kType1 && spapr_.Offers(type));
}

uint32_t ContainerPersonality::MappingLimit(ContainerType type) const {
  return Of(type).MappingLimit(type);
}

ioas::Status ContainerPersonality::Admit(const ContainerContext& context, ContainerType type,
                                         uint32_t groups) const {
  return Of(type).Admit(context, type, groups);
}

ioas::Status ContainerPersonality::Open(const ContainerContext& context, ContainerType type) const {
  return Of(type).Open(context, type);
}

void ContainerPersonality::Close(const ContainerContext& context) const {
  Of(context.container->type).Close(context);
}

ioas::Result<compat::vfio::Removed> ContainerPersonality::Remove(const ContainerContext& context,
                                                                 const ioas::IovaRange& range,
                                                                 bool dry_run) const {
  return Of(context.container->type).Remove(context, range, dry_run);
}

ioas::Status ContainerPersonality::TrackDirty(const ContainerContext& context, bool track,
                                              bool dry_run) const {
  return Of(context.container->type).TrackDirty(context, track, dry_run);
}

ioas::Result<compat::vfio::DirtyPages> ContainerPersonality::ReadDirty(
    const ContainerContext& context, const ioas::IovaRange& range, std::span<uint64_t> bits) const {
  return Of(context.container->type).ReadDirty(context, range, bits);
}

ioas::Status ContainerPersonality::CheckCaller(const ContainerContext& context) const {
  return Of(context.container->type).CheckCaller(context);
}

[[gnu::hot]] ioas::Result<long> ContainerPersonality::Call(
    const ContainerContext& context, const compat::decode::DecodedCall& call) const {
  // Not by Of: the compiler knows these.
  return IsSpapr(context.container->type) ? spapr_.Call(context, call) : type1_.Call(context, call);
}

}  // namespace ppc
