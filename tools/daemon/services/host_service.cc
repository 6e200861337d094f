#include <grpcpp/server_context.h>
#include <sys/utsname.h>

#include <charconv>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "compat/session/channel.h"
#include "compat/sysfs/groups.h"
#include "tools/cli/doctor.h"
#include "tools/daemon/events/event_log.h"
#include "tools/daemon/services/convert.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/services/services.h"
#include "tools/daemon/sessions/registry.h"
#include "vfio/compat/v1/host.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;

void Describe(const cli::Check& check, api::DoctorCheck& out) {
  out.set_subject(check.name);
  switch (check.status) {
    case cli::CheckStatus::kOk:
      out.set_outcome(api::DoctorCheck::OUTCOME_OK);
      break;
    case cli::CheckStatus::kWarning:
      out.set_outcome(api::DoctorCheck::OUTCOME_WARNING);
      break;
    case cli::CheckStatus::kError:
      out.set_outcome(api::DoctorCheck::OUTCOME_FAILURE);
      break;
  }
  out.set_finding(check.finding);
  out.set_remedy(check.remedy);
}

void Describe(const compat::sysfs::Group& group, api::Group& out) {
  out.set_number(group.number);
  out.set_is_viable(group.is_viable);
  for (const compat::sysfs::GroupDevice& device : group.devices) {
    api::Device& added = *out.add_devices();
    added.set_name(device.name);
    added.set_driver(device.driver);
    if (device.has_cdev) added.set_node(absl::StrCat("vfio/devices/vfio", device.cdev));
  }
}

class HostService final : public api::Host::Service {
 public:
  explicit HostService(const Parts& parts) : parts_(parts) {}

  grpc::Status GetInfo(grpc::ServerContext* context, const api::GetInfoRequest*,
                       api::GetInfoResponse* response) override {
    return Guarded(parts_.guard, *context, "Host.GetInfo", [&](const Guard::Admission& admission) {
      utsname names{};
      uname(&names);
      response->set_version(parts_.version);
      response->set_hostname(names.nodename);
      response->set_kernel_release(names.release);
      SetTime(std::chrono::nanoseconds(parts_.start_time.time_since_epoch()).count(),
              *response->mutable_start_time());
      response->set_session_count(static_cast<uint32_t>(parts_.registry.size()));
      response->set_channel_version(compat::session::kVersion);
      response->set_newest_sequence(parts_.log.newest());
      response->set_oldest_sequence(parts_.log.oldest());
      response->set_caller_role(static_cast<api::Role>(admission.caller.role));
      response->set_caller(admission.caller.name);
      return absl::OkStatus();
    });
  }

  grpc::Status RunDoctor(grpc::ServerContext* context, const api::RunDoctorRequest*,
                         api::RunDoctorResponse* response) override {
    return Guarded(parts_.guard, *context, "Host.RunDoctor", [&](const Guard::Admission&) {
      const cli::Diagnosis diagnosis = cli::Diagnose("");
      for (const cli::Check& check : diagnosis.checks) Describe(check, *response->add_checks());
      response->set_is_usable(diagnosis.is_fit());
      return absl::OkStatus();
    });
  }

  grpc::Status ListGroups(grpc::ServerContext* context, const api::ListGroupsRequest* request,
                          api::ListGroupsResponse* response) override {
    return Guarded(parts_.guard, *context, "Host.ListGroups",
                   [&](const Guard::Admission&) { return ListPage(*request, *response); });
  }

 private:
  // A page token is the number of the last group of the page before.
  static absl::Status ListPage(const api::ListGroupsRequest& request,
                               api::ListGroupsResponse& response) {
    const absl::StatusOr<size_t> page_size = CheckPageSize(request.page_size());
    if (!page_size.ok()) return page_size.status();
    const std::string& token = request.page_token();
    int64_t after = -1;
    if (!token.empty()) {
      uint32_t number = 0;
      const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
      if (error != std::errc() || end != token.data() + token.size()) {
        return InvalidField("page_token", "expected the next_page_token of an answer");
      }
      after = number;
    }
    const compat::sysfs::Groups groups;
    for (const uint32_t number : groups.AllNumbers()) {
      if (number <= after) continue;
      if (response.groups_size() == static_cast<int>(*page_size)) {
        response.set_next_page_token(std::to_string(response.groups().rbegin()->number()));
        break;
      }
      compat::sysfs::Group group;
      if (groups.ReadAny(number, group)) Describe(group, *response.add_groups());
    }
    return absl::OkStatus();
  }

  const Parts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHostService(const Parts& parts) {
  return std::make_unique<HostService>(parts);
}

}  // namespace tools::daemon
