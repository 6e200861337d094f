#include "tools/daemon/services/cut_off.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tools/daemon/devices/held_devices.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;

constexpr uint32_t kKernelBackend = 2;  // Hello::backend

// The groups that the target consists of, of the devices that there are.
std::set<uint32_t> GroupsOf(const Session& session, const api::Target& target,
                            const std::vector<HeldDevice>& devices) {
  std::set<uint32_t> groups;
  switch (target.what_case()) {
    case api::Target::kContainer:
      for (const compat::session::GroupInfo& group : session.remembered_groups()) {
        if (group.container == target.container()) groups.insert(group.number);
      }
      break;
    case api::Target::kGroup:
      groups.insert(target.group());
      break;
    default:
      for (const HeldDevice& device : devices) {
        if (target.all() || device.name == target.device()) groups.insert(device.group);
      }
  }
  return groups;
}

}  // namespace

absl::StatusOr<CutOff> CutDevicesOff(const Session& session, const api::Target& target,
                                     bool dry_run) {
  const SessionIdentity& identity = session.identity();
  if (identity.backend != kKernelBackend) {
    return absl::FailedPreconditionError("its devices are emulated, by the process itself");
  }
  const auto devices = FindHeldDevices(identity.pid, session.pidfd());
  if (!devices.ok()) return devices.status();
  CutOff cut;
  cut.groups = GroupsOf(session, target, *devices);
  if (cut.groups.empty() && target.what_case() == api::Target::kContainer) {
    return absl::FailedPreconditionError(absl::StrCat("it has not said which groups container ",
                                                      target.container(),
                                                      " has; name a group or a device"));
  }
  for (const HeldDevice& device : *devices) {
    if (cut.groups.count(device.group) == 0) continue;
    if (!dry_run) {
      if (absl::Status detached = Detach(device); !detached.ok()) return detached;
    }
    cut.devices.push_back(device.name);
  }
  if (cut.devices.empty()) {
    return absl::FailedPreconditionError("the process has no such device open");
  }
  return cut;
}

}  // namespace tools::daemon
