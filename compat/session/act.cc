// Actions, and limits.
#include <algorithm>

#include "compat/session/requests.h"
#include "compat/session/responder.h"
#include "compat/session/writer.h"
#include "compat/vfio/operator.h"

namespace compat::session {

using ioas::Error;
using vfio::ActionReport;
using vfio::ContainerState;

namespace {

ioas::Result<uint32_t> FindGroup(const vfio::Host& host, uint32_t number) {
  const vfio::HostState& state = host.state();
  for (uint32_t i = 0; i < state.group_count; ++i) {
    if (state.groups[i].number == number) return i;
  }
  return Error{ENOENT, "there is no such group"};
}

ioas::Result<ActionReport> ActOnGroup(vfio::Operator& actor, const Act& act, uint32_t group) {
  switch (static_cast<Action>(act.action)) {
    case Action::kFreeze:
      return actor.FreezeGroup(group);
    case Action::kThaw:
      return actor.ThawGroup(group);
    default:
      return Error{EINVAL, "no such action on a group"};
  }
}

ioas::Result<ActionReport> ActOnContainer(vfio::Operator& actor, const Act& act,
                                          ContainerState& container) {
  switch (static_cast<Action>(act.action)) {
    case Action::kFreeze:
      return actor.FreezeContainer(container);
    case Action::kThaw:
      return actor.ThawContainer(container);
    case Action::kUnmap:
      return actor.Unmap(container, {act.first, act.last});
    case Action::kRevoke:
      return actor.Revoke(container);
    default:
      return Error{EINVAL, "no such action"};
  }
}

}  // namespace

ioas::Status Responder::Act(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<session::Act>(packet);
  if (request == nullptr) return kNotRight;
  if (request->dry_run > 1) return Error{EINVAL, "a dry run is 0 or 1"};
  const vfio::Host::TimedLock lock(host_, kPatience);
  if (!lock.held()) return kHostIsHeld;
  vfio::Operator actor(host_, request->dry_run != 0);
  ioas::Result<ActionReport> report = Error{ENOENT, "there is no such group"};
  if (request->container == 0) {
    const ioas::Result<uint32_t> group = FindGroup(host_, request->group);
    if (!group.ok()) return group.error();
    report = ActOnGroup(actor, *request, *group);
  } else {
    const ioas::Result<ContainerState*> container = FindContainer(request->container);
    if (!container.ok()) return container.error();
    report = ActOnContainer(actor, *request, **container);
  }
  if (!report.ok()) return report.error();
  auto* const acted = answer.Add<Acted>();
  acted->groups = report->groups;
  acted->mappings = report->mappings;
  acted->bytes = report->bytes;
  acted->was_in_force = report->was_in_force ? 1 : 0;
  return {};
}

ioas::Status Responder::SetLimits(Packet packet) {
  const auto* const request = WholeBody<session::SetLimits>(packet);
  if (request == nullptr || request->limits.range_count > kMaxLimitRanges) return kNotRight;
  if (request->dry_run > 1) return Error{EINVAL, "a dry run is 0 or 1"};
  const Limits& wanted = request->limits;
  vfio::ContainerLimits limits = {.mappings = {.bytes = wanted.mapped_bytes,
                                               .mappings = wanted.mapping_count,
                                               .range_count = wanted.range_count,
                                               .ranges = {}},
                                  .types = wanted.types};
  std::transform(wanted.ranges, wanted.ranges + wanted.range_count, limits.mappings.ranges,
                 [](const IovaLimits& range) {
                   return ioas::IovaRange{range.first, range.last};
                 });
  const vfio::Host::TimedLock lock(host_, kPatience);
  if (!lock.held()) return kHostIsHeld;
  vfio::Operator actor(host_, request->dry_run != 0);
  if (request->container == 0) return actor.SetDefaultLimits(limits);
  const ioas::Result<ContainerState*> container = FindContainer(request->container);
  if (!container.ok()) return container.error();
  return actor.SetLimits(**container, limits);
}

}  // namespace compat::session
