#include <grpcpp/server_context.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/daemon/services/convert.h"
#include "tools/daemon/services/cut_off.h"
#include "tools/daemon/services/log_action.h"
#include "tools/daemon/services/once.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/services/services.h"
#include "tools/daemon/sessions/questions.h"
#include "vfio/compat/v1/actions.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;

using Groups = std::vector<channel::GroupInfo>;

// The devices of those groups that the bits count.
void AddDevices(const Groups& groups, uint64_t bits, api::ActionResponse& response) {
  for (size_t i = 0; i < groups.size() && i < 64; ++i) {
    if ((bits >> i & 1) == 0) continue;
    for (uint32_t device = 0; device < groups[i].device_count; ++device) {
      response.add_devices(groups[i].devices[device]);
    }
  }
}

// One thing that Freeze and Thaw are about.
struct Aim {
  uint32_t container = 0;  // 0: none
  uint32_t group = 0;
};

// Containers, so that groups that join later are frozen too, and groups that are in none. Thawing
// is about all groups: each may be frozen for itself.
std::vector<Aim> AimAtAll(channel::Action action, const Groups& groups) {
  std::set<uint32_t> containers;
  std::vector<Aim> aims;
  for (const channel::GroupInfo& group : groups) {
    if (group.container != 0 && containers.insert(group.container).second) {
      aims.push_back({.container = group.container});
    }
    if (group.container == 0 || action == channel::Action::kThaw) {
      aims.push_back({.group = group.number});
    }
  }
  return aims;
}

// What Freeze and Thaw are about, as the session is told. A device is its group.
absl::StatusOr<std::vector<Aim>> AimAt(const api::Target& target, channel::Action action,
                                       const Groups& groups) {
  switch (target.what_case()) {
    case api::Target::kContainer:
      return {{Aim{.container = target.container()}}};
    case api::Target::kGroup:
      return {{Aim{.group = target.group()}}};
    case api::Target::kAll:
      return AimAtAll(action, groups);
    default:
      break;
  }
  for (const channel::GroupInfo& group : groups) {
    const auto devices = std::span(group.devices).first(group.device_count);
    if (std::ranges::any_of(devices, [&](const char* name) { return target.device() == name; })) {
      return {{Aim{.group = group.number}}};
    }
  }
  return FieldError(absl::StatusCode::kNotFound, "DEVICE_NOT_FOUND", "target.device",
                    absl::StrCat("the session has no device of this name (of ",
                                 target.device().size(), " characters)"));
}

absl::Status CheckTarget(const api::Target& target) {
  switch (target.what_case()) {
    case api::Target::kContainer:
      if (target.container() != 0) return absl::OkStatus();
      return InvalidField("target.container", "0 is no container: expected a number from 1 on");
    case api::Target::kGroup:
      return absl::OkStatus();
    case api::Target::kDevice:
      if (!target.device().empty()) return absl::OkStatus();
      return InvalidField("target.device", "empty: expected a device's name");
    case api::Target::kAll:
      if (target.all()) return absl::OkStatus();
      return InvalidField("target.all", "false: expected true, or another target");
    default:
      return InvalidField("target", "expected a container, a group, a device or all");
  }
}

class ActionsService final : public api::Actions::Service {
 public:
  explicit ActionsService(const Parts& parts) : parts_(parts) {}

  grpc::Status Freeze(grpc::ServerContext* context, const api::FreezeRequest* request,
                      api::ActionResponse* response) override {
    return Do(*context, "Freeze", *request, *response, [&](const Guard::Admission& admission) {
      return FreezeOrThaw(admission, channel::Action::kFreeze, "Freeze", *request, *response);
    });
  }

  grpc::Status Thaw(grpc::ServerContext* context, const api::ThawRequest* request,
                    api::ActionResponse* response) override {
    return Do(*context, "Thaw", *request, *response, [&](const Guard::Admission& admission) {
      return FreezeOrThaw(admission, channel::Action::kThaw, "Thaw", *request, *response);
    });
  }

  grpc::Status Unmap(grpc::ServerContext* context, const api::UnmapRequest* request,
                     api::ActionResponse* response) override {
    return Do(*context, "Unmap", *request, *response, [&](const Guard::Admission& admission) {
      if (!request->has_range()) {
        return InvalidField("range", "absent: expected the range to unmap");
      }
      RETURN_IF_ERROR(CheckRange("range", request->range()));
      return OnContainer(admission, channel::Action::kUnmap, "Unmap", *request,
                         {request->range().first(), request->range().last()}, *response);
    });
  }

  grpc::Status Revoke(grpc::ServerContext* context, const api::RevokeRequest* request,
                      api::ActionResponse* response) override {
    return Do(*context, "Revoke", *request, *response, [&](const Guard::Admission& admission) {
      return OnContainer(admission, channel::Action::kRevoke, "Revoke", *request, {}, *response);
    });
  }

  grpc::Status SetLimits(grpc::ServerContext* context, const api::SetLimitsRequest* request,
                         api::ActionResponse* response) override {
    return Do(*context, "SetLimits", *request, *response, [&](const Guard::Admission& admission) {
      return Limit(admission, *request, *response);
    });
  }

 private:
  template <typename Request, typename Handler>
  grpc::Status Do(const grpc::ServerContext& context, const char* method, const Request& request,
                  api::ActionResponse& response, const Handler& handler) {
    return Guarded(parts_.guard, context, absl::StrCat("Actions.", method),
                   [&](const Guard::Admission& admission) {
                     return Once(parts_.replays, admission, method, request, request.dry_run(),
                                 response, [&] { return handler(admission); });
                   });
  }

  template <typename Request>
  absl::Status FreezeOrThaw(const Guard::Admission& admission, channel::Action action,
                            const char* method, const Request& request,
                            api::ActionResponse& response) const {
    const api::Target& target = request.target();
    const auto session =
        FindSession(admission, parts_.registry, target.session(), "target.session");
    if (!session.ok()) return session.status();
    RETURN_IF_ERROR(CheckTarget(target));
    channel::Act act{};
    act.action = static_cast<uint32_t>(action);
    act.dry_run = request.dry_run() ? 1 : 0;
    (*session)->SendReminders();
    absl::Status status = Ask(**session, target, act, response);
    if (absl::IsUnavailable(status) && action == channel::Action::kFreeze) {
      status = GoAround(**session, target, status, act, response);
    }
    if (status.ok()) Log(admission, method, **session, act, response);
    return status;
  }

  // Asks the process itself, for one thing after the other.
  static absl::Status Ask(Session& session, const api::Target& target, channel::Act& act,
                          api::ActionResponse& response) {
    const absl::StatusOr<Groups> groups = ListGroups(session);
    if (!groups.ok()) return groups.status();
    const absl::StatusOr<std::vector<Aim>> aims =
        AimAt(target, static_cast<channel::Action>(act.action), *groups);
    if (!aims.ok()) return aims.status();
    uint64_t acted_on = 0;
    bool was_in_force = true;
    for (const Aim& aim : *aims) {
      act.container = aim.container;
      act.group = aim.group;
      const absl::StatusOr<channel::Acted> acted = DoAct(session, act);
      if (!acted.ok()) return acted.status();
      acted_on |= acted->groups;
      was_in_force = was_in_force && acted->was_in_force != 0;
    }
    AddDevices(*groups, acted_on, response);
    response.set_was_in_force(was_in_force && !aims->empty());
    if (target.what_case() == api::Target::kAll) act.container = act.group = 0;
    return absl::OkStatus();
  }

  static absl::Status Finish(const absl::StatusOr<channel::Acted>& acted, const Groups& groups,
                             api::ActionResponse& response) {
    if (!acted.ok()) return acted.status();
    AddDevices(groups, acted->groups, response);
    response.set_mapping_count(acted->mappings);
    response.set_mapped_bytes(acted->bytes);
    response.set_was_in_force(acted->was_in_force != 0);
    return absl::OkStatus();
  }

  // Cuts the devices off without the process, which is told later.
  static absl::Status GoAround(Session& session, const api::Target& target, const absl::Status& why,
                               channel::Act& act, api::ActionResponse& response) {
    const absl::StatusOr<CutOff> cut = CutDevicesOff(session, target, act.dry_run != 0);
    if (!cut.ok()) {
      return Error(why.code(), "SESSION_SILENT",
                   absl::StrCat(why.message(), "; and without it: ", cut.status().message()),
                   {{"session", SessionName(session.identity().id)}});
    }
    for (const std::string& name : cut->devices) response.add_devices(name);
    response.set_went_around_process(true);
    act.container = target.container();
    for (const uint32_t group : cut->groups) {
      act.group = act.container == 0 ? group : 0;
      if (act.dry_run == 0) session.Remind(act);
    }
    return absl::OkStatus();
  }

  template <typename Request>
  absl::Status OnContainer(const Guard::Admission& admission, channel::Action action,
                           const char* method, const Request& request, channel::IovaLimits range,
                           api::ActionResponse& response) const {
    RETURN_IF_ERROR(CheckContainer(request.container()));
    const auto session = FindSession(admission, parts_.registry, request.session());
    if (!session.ok()) return session.status();
    const channel::Act act = {.action = static_cast<uint32_t>(action),
                              .dry_run = request.dry_run() ? 1u : 0u,
                              .container = request.container(),
                              .group = 0,
                              .first = range.first,
                              .last = range.last};
    (*session)->SendReminders();
    const absl::StatusOr<Groups> groups = ListGroups(**session);
    if (!groups.ok()) return groups.status();
    RETURN_IF_ERROR(Finish(DoAct(**session, act), *groups, response));
    Log(admission, method, **session, act, response);
    return absl::OkStatus();
  }

  absl::Status Limit(const Guard::Admission& admission, const api::SetLimitsRequest& request,
                     api::ActionResponse& response) const {
    const absl::StatusOr<channel::Limits> limits = LimitsOf(request.limits());
    if (!limits.ok()) return limits.status();
    const auto session = FindSession(admission, parts_.registry, request.session());
    if (!session.ok()) return session.status();
    RETURN_IF_ERROR(daemon::SetLimits(**session, {.container = request.container(),
                                                  .dry_run = request.dry_run() ? 1u : 0u,
                                                  .limits = *limits}));
    channel::Act act{};
    act.container = request.container();
    act.dry_run = request.dry_run() ? 1 : 0;
    Log(admission, "SetLimits", **session, act, response);
    return absl::OkStatus();
  }

  // Tells of what was carried out.
  void Log(const Guard::Admission& admission, const char* method, const Session& session,
           const channel::Act& act, api::ActionResponse& response) const {
    if (act.dry_run != 0) return;
    response.set_sequence(LogAction(parts_.log, session, admission.caller,
                                    {.action = method,
                                     .container = act.container,
                                     .group = act.group,
                                     .first = act.first,
                                     .last = act.last}));
  }

  const Parts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeActionsService(const Parts& parts) {
  return std::make_unique<ActionsService>(parts);
}

}  // namespace tools::daemon
