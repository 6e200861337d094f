// Lists of containers and groups.
#include <algorithm>

#include "compat/session/requests.h"
#include "compat/session/responder.h"
#include "compat/session/writer.h"

namespace compat::session {

using ioas::Error;
using vfio::ContainerState;

ioas::Result<ContainerState*> Responder::FindContainer(uint32_t number) const {
  for (auto ref = host_.state().containers; ref;) {
    ContainerState* const container = host_.arena().Get(ref);
    if (container->in_use != 0 && container->number == number) return container;
    ref = container->next;
  }
  return Error{ENOENT, "there is no such container"};
}

ioas::Result<ContainerState*> Responder::FindContainerWithIommu(uint32_t number) const {
  const ioas::Result<ContainerState*> found = FindContainer(number);
  if (found.ok() && (*found)->type == decode::ContainerType::kNone) {
    return Error{ENODEV, "the container has no IOMMU"};
  }
  return found;
}

ioas::Status Responder::Describe(const ContainerState& container, ContainerInfo& info) const {
  ioas::Arena arena = host_.arena();
  ioas::AddressSpace space(arena, container.space);
  const ioas::AddressSpace::TimedLock lock(space, kPatience);
  if (!lock.held()) return kSpaceIsHeld;
  info.number = container.number;
  info.type = static_cast<uint32_t>(container.type.load());
  info.opener = static_cast<int32_t>(container.opener);
  info.groups = container.groups;
  if (container.type != decode::ContainerType::kNone) {
    info.live_mappings = space.state().live_mappings();
    info.bytes_mapped = space.statistics().bytes_mapped;
  }
  if (container.is_held != 0) info.flags |= kIsFrozen;
  if (container.is_revoked != 0) info.flags |= kIsRevoked;
  const ioas::MappingLimits& limits = space.state().limits;
  info.limits.mapped_bytes = limits.bytes;
  info.limits.mapping_count = limits.mappings;
  info.limits.range_count = limits.range_count;
  info.limits.types = container.permitted_types;
  std::transform(limits.ranges, limits.ranges + limits.range_count, info.limits.ranges,
                 [](const ioas::IovaRange& range) {
                   return IovaLimits{range.first, range.last};
                 });
  info.unknown_calls = container.unknown_calls.load(std::memory_order_relaxed);
  return {};
}

ioas::Status Responder::ListContainers(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<session::ListContainers>(packet);
  if (request == nullptr) return kNotRight;
  auto* const list = answer.Add<ContainerList>();
  const vfio::Host::TimedLock lock(host_, kPatience);
  if (!lock.held()) return kHostIsHeld;
  // What processes left behind that were killed.
  if (request->after == 0) host_.EndLostFiles();

  // The lowest of those above `after`, ascending, as many as fit.
  constexpr size_t kMost = (kMaxMessage - 64) / sizeof(ContainerInfo);
  const ContainerState* lowest[kMost];
  size_t count = 0;
  for (auto ref = host_.state().containers; ref;) {
    const ContainerState* const container = host_.arena().Get(ref);
    ref = container->next;
    if (container->in_use == 0 || container->number <= request->after) continue;
    const auto place = std::upper_bound(
        lowest, lowest + count, container,
        [](const auto* one, const auto* other) { return one->number < other->number; });
    if (count == kMost) list->more = 1;
    if (place == lowest + kMost) continue;
    std::move_backward(place, lowest + std::min(count, kMost - 1),
                       lowest + std::min(count + 1, kMost));
    *place = container;
    count = std::min(count + 1, kMost);
  }
  list->count = static_cast<uint32_t>(count);
  for (const ContainerState* container : std::span(lowest, count)) {
    IOAS_RETURN_IF_ERROR(Describe(*container, *answer.Add<ContainerInfo>()));
  }
  return {};
}

namespace {

// Lists as many address spaces of contexts as fit.
class IoasLister final : public vfio::IoasVisitor {
 public:
  IoasLister(const vfio::Host& host, Writer& answer)
      : arena_(host.arena()), answer_(answer), list_(answer.Add<ContainerList>()) {}

  bool Visit(const vfio::IoasView& view) override {
    ioas::AddressSpace space(arena_, view.space);
    const ioas::AddressSpace::TimedLock lock(space, kPatience);
    if (!lock.held()) {
      status_ = kSpaceIsHeld;
      return false;
    }
    auto* const info = answer_.Add<IoasInfo>();
    if (info == nullptr) {
      list_->more = 1;
      return false;
    }
    *info = {.number = view.number,
             .context = view.context,
             .object = view.object,
             .opener = static_cast<int32_t>(view.opener),
             .groups = view.groups,
             .live_mappings = space.state().live_mappings(),
             .bytes_mapped = space.statistics().bytes_mapped};
    ++list_->count;
    return true;
  }
  const ioas::Status& status() const { return status_; }

 private:
  ioas::Arena arena_;
  Writer& answer_;
  ContainerList* list_;
  ioas::Status status_;
};

}  // namespace

ioas::Status Responder::ListIoases(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<session::ListContainers>(packet);
  if (request == nullptr) return kNotRight;
  const vfio::Host::TimedLock lock(host_, kPatience);
  if (!lock.held()) return kHostIsHeld;
  // What processes left behind that were killed.
  if (request->after == 0) host_.EndLostFiles();
  IoasLister lister(host_, answer);
  if (request->after != UINT32_MAX) {
    IOAS_RETURN_IF_ERROR(VisitIoases(host_, request->after + 1, lister));
  }
  return lister.status();
}

ioas::Status Responder::ListGroups(Writer& answer) {
  auto* const list = answer.Add<GroupList>();
  const vfio::Host::TimedLock lock(host_, kPatience);
  if (!lock.held()) return kHostIsHeld;
  const vfio::HostState& state = host_.state();
  list->count = state.group_count;
  for (uint32_t i = 0; i < state.group_count; ++i) {
    auto* const info = answer.Add<GroupInfo>();
    const vfio::GroupState& group = state.groups[i];
    info->number = group.number;
    if (group.container) info->container = host_.arena().Get(group.container)->number;
    const ioas::GroupErrors& errors = host_.platform().ErrorsOf(i);
    if (errors.has(ioas::kHeld)) info->flags |= kGroupIsFrozen;
    if (errors.has(ioas::kFrozen)) info->flags |= kGroupIsInError;
    for (uint32_t device = 0; device < state.device_count; ++device) {
      if (state.devices[device].group != i || info->device_count == std::size(info->devices)) {
        continue;
      }
      host_.platform().NameDevice(device, info->devices[info->device_count++]);
    }
  }
  return {};
}

}  // namespace compat::session
