#include "ppc/spapr.h"

#include "compat/abi/vfio_numbers.h"
#include "ppc/eeh.h"
#include "ppc/spapr_container.h"

namespace ppc {

namespace abi = compat::abi;
using compat::decode::Call;
using compat::decode::ContainerType;
using compat::decode::DecodedCall;
using compat::vfio::ContainerContext;
using ioas::Error;

long Spapr::CheckExtension(uint64_t extension,
                           const compat::vfio::ContainerState* /*container*/) const {
  return Offers(extension) || extension == abi::kEeh ? 1 : 0;
}

bool Spapr::Offers(uint64_t type) const {
  return type == abi::kSpaprTceIommu || type == abi::kSpaprTceV2Iommu;
}

// tce_iommu_attach_group: version 1 uses a group's own table, and what several groups share must be
// theirs alike.
ioas::Status Spapr::Admit(const ContainerContext& context, ContainerType type,
                          uint32_t groups) const {
  if (groups < 2) return {};
  if (type == ContainerType::kSpaprV1) {
    return Error{EBUSY, "a container of version 1 has one group"};
  }
  if (context.container->type == ContainerType::kNone) return {};
  ioas::AddressSpace space = context.space();
  ioas::AddressSpace::Lock lock(space);
  const SpaprState& state = *context.arena->Get(context.container->spapr);
  if (space.state().windows != 0 && !CanShareWindows(state.platform)) {
    return Error{EPERM, "the group cannot have the container's windows"};
  }
  return {};
}

ioas::Status Spapr::Open(const ContainerContext& context, ContainerType /*type*/) const {
  auto& all = context.host->state().registered_memory;
  if (!all) {
    const auto made = context.arena->New<RegisteredMemoryState>();
    if (!made.ok()) return made.error();
    context.arena->Get(*made)->mutex.Initialize();
    all = *made;
  }
  auto& own = context.container->spapr;
  if (!own) {
    const auto made = context.arena->New<SpaprState>();
    if (!made.ok()) return made.error();
    own = *made;
  }
  *context.arena->Get(own) = {.platform = platform_,
                              .owner = {},
                              .process = 0,
                              .is_enabled = 0,
                              .is_default_pending = 1,
                              .enabled_bytes = 0,
                              .table_bytes = {},
                              .memory = {},
                              .pins = {}};
  return {};
}

void Spapr::Close(const ContainerContext& context) const {
  ioas::AddressSpace space = context.space();
  SpaprContainer(context, space).Close();
}

ioas::Result<compat::vfio::Removed> Spapr::Remove(const ContainerContext& context,
                                                  const ioas::IovaRange& range,
                                                  bool dry_run) const {
  ioas::AddressSpace space = context.space();
  return SpaprContainer(context, space).Remove(range, dry_run);
}

ioas::Status Spapr::CheckCaller(const ContainerContext& context) const {
  ioas::AddressSpace space = context.space();
  ioas::AddressSpace::Lock lock(space);
  return SpaprContainer(context, space).CheckOwner();
}

ioas::Result<long> Spapr::Call(const ContainerContext& context, const DecodedCall& call) const {
  if (call.row->call == Call::kEehPeOp) {
    IOAS_RETURN_IF_ERROR(CheckCaller(context));
    return EehPeOp(context, context.arena->Get(context.container->spapr)->platform.kind, call);
  }
  ioas::AddressSpace space = context.space();
  ioas::AddressSpace::Lock lock(space);
  if (context.container->is_revoked != 0) {
    return Error{ENODEV, "an operator has revoked the container"};
  }
  if (!IsValidFor(*call.row, context.container->type)) {
    return Error{EINVAL, "the container has lost its IOMMU"};
  }
  SpaprContainer container(context, space);
  IOAS_RETURN_IF_ERROR(container.CheckOwner());
  switch (call.row->call) {
    case Call::kSpaprTceGetInfo:
      return container.GetInfo(call);
    case Call::kIommuMapDma:
      return container.MapDma(call);
    case Call::kIommuUnmapDma:
      return container.UnmapDma(call);
    case Call::kIommuEnable:
      return container.Enable();
    case Call::kIommuDisable:
      return container.Disable();
    case Call::kSpaprRegisterMemory:
      return container.RegisterMemory(call);
    case Call::kSpaprUnregisterMemory:
      return container.UnregisterMemory(call);
    case Call::kSpaprTceCreate:
      return container.CreateWindow(call);
    case Call::kSpaprTceRemove:
      return container.RemoveWindow(call);
    default:
      return Error{ENOTTY, "SPAPR TCE containers have no such call"};
  }
}

}  // namespace ppc
