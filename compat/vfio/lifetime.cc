// How files, containers, groups and devices end. Behaviour: vfio_fops_release and
// vfio_group_detach_container in drivers/vfio/container.c, vfio_group_fops_release and
// vfio_df_group_close in group.c: a device file holds its group's file open, and a group holds its
// container.
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "compat/events/events.h"
#include "compat/vfio/host.h"
#include "ioas/base/system_call.h"

namespace compat::vfio {

using ioas::ArenaRef;

Host::Lock::Lock(const Host& host) : lock_(host.state_->mutex) {
  if (lock_.owner_died()) host.Repair();
}

Host::TimedLock::TimedLock(const Host& host, uint32_t milliseconds)
    : lock_(host.state_->mutex, milliseconds) {
  if (lock_.owner_died()) host.Repair();
}

void Host::Repair() const {
  for (ArenaRef<ContainerState> ref = state_->containers; ref; ref = arena_.Get(ref)->next) {
    ContainerState& container = *arena_.Get(ref);
    container.groups = 0;
    for (uint32_t i = 0; i < state_->group_count; ++i) {
      if (state_->groups[i].container == ref) container.groups |= uint64_t{1} << i;
    }
  }
}

void Host::OnClosed(uint32_t slot) {
  if (CallerIsInside()) return;
  Lock lock(*this);
  if (files().slot(slot).in_use != 0 && !platform().IsOpen(slot)) EndFile(slot);
}

bool Host::EndLostFiles() {
  bool any = false;
  const FileTable table = files();
  for (uint32_t slot = 1; slot <= table.last_slot(); ++slot) {
    if (table.slot(slot).in_use == 0 || platform().IsOpen(slot)) continue;
    EndFile(slot);
    any = true;
  }
  return any;
}

void Host::EndFile(uint32_t slot) {
  const FileSlot file = files().slot(slot);
  files().Free(slot);
  switch (file.kind) {
    case decode::DescriptorKind::kContainer: {
      ContainerState& container = *arena_.Get(ArenaRef<ContainerState>{file.object});
      container.file_open = 0;
      EndContainerIfUnused(container);
      break;
    }
    case decode::DescriptorKind::kGroup:
      state_->groups[file.object].slot = 0;
      EndGroupIfUnused(file.object);
      break;
    case decode::DescriptorKind::kDevice:
      EndDevice(file.object);
      break;
    case decode::DescriptorKind::kIommufd:
      parts_.native->EndContext(*this, file.object);
      break;
    case decode::DescriptorKind::kCdev:
      parts_.native->EndCdev(*this, file.object, slot);
      break;
    case decode::DescriptorKind::kEvents:
      parts_.native->EndEvents(*this, file.object, slot);
      break;
    default:
      break;
  }
}

ioas::Result<ArenaRef<ContainerState>> Host::NewContainer() {
  ArenaRef<ContainerState> ref = state_->containers;
  while (ref && arena_.Get(ref)->in_use != 0) ref = arena_.Get(ref)->next;
  if (!ref) {
    const auto fresh = arena_.New<ContainerState>();
    if (!fresh.ok()) return fresh.error();
    const auto space = ioas::AddressSpace::Create(arena_, {}, 0);
    if (!space.ok()) {
      arena_.Delete(*fresh);
      return space.error();
    }
    ref = *fresh;
    arena_.Get(ref)->space = *space;
    arena_.Get(ref)->next = state_->containers;
    state_->containers = ref;
  }
  ContainerState* container = arena_.Get(ref);
  container->in_use = 1;
  container->groups = 0;
  container->opener = static_cast<uint32_t>(ioas::SystemCall(SYS_getpid));
  container->type = decode::ContainerType::kNone;
  container->is_revoked = 0;
  container->is_held = 0;
  container->permitted_types = state_->permitted_types;
  {
    ioas::AddressSpace space(arena_, container->space);
    ioas::AddressSpace::Lock lock(space);
    space.SetLimits(state_->limits);
  }
  container->unknown_calls = 0;
  container->last_unknown_request = 0;
  return ref;
}

void Host::EndContainerIfUnused(ContainerState& container) const {
  if (container.in_use == 0 || container.file_open != 0 || container.groups != 0) return;
  container.in_use = 0;
  Tell(session::EventKind::kClosed, container);
}

void Host::EndGroupIfUnused(uint32_t index) {
  GroupState& group = state_->groups[index];
  if (group.slot != 0) return;
  LeaveIommufd(index);
  if (group.device_opens == 0 && group.container) DetachGroup(index);
}

void Host::Tell(session::EventKind kind, const ContainerState& container, uint64_t value) const {
  if (!events::IsWanted(kind)) return;
  ioas::Arena arena = arena_;
  ioas::AddressSpace space(arena, container.space);
  const ioas::AddressSpace::Lock lock(space);
  events::Emit(kind, container.number, {.value = value});
}

ContainerFile Host::WithDescriptor(ContainerState& container) const {
  const int fd = container.file_open != 0 ? parts_.descriptors->DescriptorOf(container.slot) : -1;
  return {container, fd};
}

// What is mapped stays in reach (vfio_iommu_aper_conflict and vfio_iommu_resv_conflict in
// drivers/vfio/vfio_iommu_type1.c).
ioas::Status Host::FollowGroups(const ContainerFile& container, uint64_t groups) const {
  const ioas::Result<ioas::IommuProperties> iommu = platform().Properties(container, groups);
  if (!iommu.ok()) return iommu.error();
  ioas::Arena arena = arena_;
  ioas::AddressSpace space(arena, container.state.space);
  const ioas::AddressSpace::Lock lock(space);
  if (!space.Fits(*iommu)) {
    return ioas::Error{EINVAL, "what is mapped lies where the group's IOMMU does not reach"};
  }
  space.SetProperties(*iommu);
  return {};
}

ioas::Status Host::AttachGroup(uint32_t index, const ContainerFile& container) {
  const uint64_t group = uint64_t{1} << index;
  const bool has_iommu = container.state.type != decode::ContainerType::kNone;
  if (has_iommu) {
    const ioas::Result<ContainerContext> context = ContextFor(container);
    if (!context.ok()) return context.error();
    IOAS_RETURN_IF_ERROR(parts_.personality->Admit(
        *context, container.state.type,
        static_cast<uint32_t>(std::popcount(container.state.groups)) + 1));
    IOAS_RETURN_IF_ERROR(platform().Attach(group, container));
    const ioas::Status followed = FollowGroups(container, container.state.groups | group);
    if (!followed.ok()) {
      platform().Detach(group, container);
      return followed;
    }
  }
  state_->groups[index].SetContainer(arena_.RefOf(&container.state));
  // SET_IOMMU takes the groups that are there last one first, and each goes before those that were
  // taken already.
  const int32_t turn = ++state_->turns;
  state_->groups[index].turn = has_iommu ? -turn : turn;
  container.state.groups |= group;
  Tell(session::EventKind::kGroupAttached, container.state, state_->groups[index].number);
  if (container.state.is_held != 0) {
    platform().ErrorsOf(index).bits.fetch_or(ioas::kContainerHeld);
  }
  const ioas::Status held = has_iommu ? FollowHold(index) : ioas::Status();
  if (!held.ok()) DetachGroup(index);
  return held;
}

ioas::Status Host::JoinIommufd(uint32_t index, uint32_t context) {
  IOAS_RETURN_IF_ERROR(parts_.native->JoinContext(*this, context));
  state_->groups[index].context = context;
  return {};
}

void Host::LeaveIommufd(uint32_t index) {
  const uint32_t context = std::exchange(state_->groups[index].context, 0);
  if (context != 0) parts_.native->LeaveContext(*this, context);
}

void Host::DetachGroup(uint32_t index) {
  GroupState& group = state_->groups[index];
  ContainerState& container = *arena_.Get(group.container);
  const ContainerFile open = WithDescriptor(container);
  platform().Detach(uint64_t{1} << index, open);
  group.SetContainer({});
  platform().ErrorsOf(index).bits.fetch_and(ioas::kGroupHeld);
  // Nothing is attached any more, so nothing can fail.
  (void)platform().FollowErrors(index);
  container.groups &= ~(uint64_t{1} << index);
  Tell(session::EventKind::kGroupDetached, container, group.number);
  if (container.type != decode::ContainerType::kNone) {
    // Those that are left may reach more.
    if (container.groups != 0) (void)FollowGroups(open, container.groups);
    if (container.groups == 0) CloseIommu(open);
  }
  // Where the groups kept its file open, it may have ended with the last of them.
  if (container.groups == 0 && container.file_open != 0 && !platform().IsOpen(container.slot)) {
    EndFile(container.slot);
  }
  EndContainerIfUnused(container);
}

std::span<const uint32_t> Host::GroupsInTurn(const ContainerState& container,
                                             std::span<uint32_t, kMaxDevices> groups) const {
  size_t count = 0;
  for (uint32_t i = 0; i < state_->group_count; ++i) {
    if ((container.groups >> i & 1) != 0) groups[count++] = i;
  }
  const std::span<uint32_t> found = groups.first(count);
  std::sort(found.begin(), found.end(), [this](uint32_t one, uint32_t other) {
    return state_->groups[one].turn < state_->groups[other].turn;
  });
  return found;
}

ioas::Status Host::ChangeErrors(uint32_t index, uint32_t set, uint32_t cleared) const {
  ioas::GroupErrors& errors = platform().ErrorsOf(index);
  const uint32_t before = errors.bits.fetch_or(set);
  errors.bits.fetch_and(~cleared);
  const ioas::Status followed = platform().FollowErrors(index);
  if (!followed.ok()) {
    errors.bits.fetch_and(before | ~set);
    errors.bits.fetch_or(before & cleared);
  }
  return followed;
}

void Host::Thaw(uint32_t index) const {
  constexpr uint32_t kStopped = ioas::kFrozen | ioas::kInReset;
  if (platform().ErrorsOf(index).has(kStopped)) (void)ChangeErrors(index, 0, kStopped);
}

ioas::Status Host::FollowHold(uint32_t index) const {
  return platform().ErrorsOf(index).has(ioas::kHeld) ? platform().FollowErrors(index)
                                                     : ioas::Status();
}

void Host::CloseIommu(const ContainerFile& container) {
  const ContainerContext context{&arena_, backend_, &container.state, HandleOf(container), 0, this};
  ioas::AddressSpace space = context.space();
  ioas::AddressSpace::Lock lock(space);
  state_->records[state_->records_made++ % kMaxContainerRecords] = RecordOf(container.state);
  const bool was_mapped = space.state().live_mappings() != 0;
  parts_.personality->Close(context);
  if (was_mapped) {
    events::Emit(session::EventKind::kUnmapped, container.state.number, {.last = UINT64_MAX});
  }
  container.state.type = decode::ContainerType::kNone;
}

ContainerRecord Host::RecordOf(const ContainerState& container) const {
  const ioas::AddressSpaceState& space = *arena_.Get(container.space);
  return {.number = container.number,
          .opener = container.opener,
          .type = container.type,
          .unknown_calls = container.unknown_calls,
          .last_unknown_request = container.last_unknown_request,
          .live_mappings = space.live_mappings(),
          .statistics = space.statistics};
}

void Host::EndDevice(uint32_t index) {
  DeviceState& state = state_->devices[index];
  if (--state.opens == 0) {
    platform().CloseDevice(index);
    if (state.bound_slot == kBoundByGroup) parts_.native->UnbindByGroup(*this, index);
    Thaw(state.group);
  }
  --state_->groups[state.group].device_opens;
  EndGroupIfUnused(state.group);
}

}  // namespace compat::vfio
