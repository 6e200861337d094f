#include <grpcpp/server_context.h>

#include "absl/strings/str_cat.h"
#include "tools/daemon/services/convert.h"
#include "tools/daemon/services/log_action.h"
#include "tools/daemon/services/once.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/services/services.h"
#include "tools/daemon/sessions/questions.h"
#include "tools/daemon/sessions/text.h"
#include "vfio/compat/v1/faults.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;

void Describe(const channel::FaultInfo& fault, api::Fault& out) {
  out.set_device(PciName(fault.device));
  out.set_iova(fault.iova);
  out.set_access(static_cast<api::Access>(fault.access));
  out.set_reason(Printable(fault.reason));
  out.set_count(fault.count);
  if (fault.pasid != channel::kNoPasid) out.set_pasid(fault.pasid);
}

class FaultsService final : public api::Faults::Service {
 public:
  explicit FaultsService(const Parts& parts) : parts_(parts) {}

  grpc::Status ListFaults(grpc::ServerContext* context, const api::ListFaultsRequest* request,
                          api::ListFaultsResponse* response) override {
    return Guarded(
        parts_.guard, *context, "Faults.ListFaults",
        [&](const Guard::Admission& admission) { return List(admission, *request, *response); });
  }

  grpc::Status ClearFaults(grpc::ServerContext* context, const api::ClearFaultsRequest* request,
                           api::ClearFaultsResponse* response) override {
    return Guarded(parts_.guard, *context, "Faults.ClearFaults",
                   [&](const Guard::Admission& admission) {
                     return Once(parts_.replays, admission, "ClearFaults", *request, false,
                                 *response, [&] { return Clear(admission, *request, *response); });
                   });
  }

  grpc::Status InjectFault(grpc::ServerContext* context, const api::InjectFaultRequest* request,
                           api::InjectFaultResponse* response) override {
    return Guarded(
        parts_.guard, *context, "Faults.InjectFault", [&](const Guard::Admission& admission) {
          return Once(parts_.replays, admission, "InjectFault", *request, request->dry_run(),
                      *response, [&] { return Inject(admission, *request); });
        });
  }

 private:
  absl::Status List(const Guard::Admission& admission, const api::ListFaultsRequest& request,
                    api::ListFaultsResponse& response) const {
    const auto session = FindSession(admission, parts_.registry, request.session());
    if (!session.ok()) return session.status();
    const auto answer = daemon::ListFaults(**session);
    if (!answer.ok()) return answer.status();
    for (const channel::FaultInfo& fault : answer->faults) {
      Describe(fault, *response.add_faults());
    }
    response.set_total(answer->list.total);
    for (uint32_t i = 0; i < answer->list.refused_count; ++i) {
      api::Range& range = *response.add_refused();
      range.set_first(answer->list.refused[i].first);
      range.set_last(answer->list.refused[i].last);
    }
    return absl::OkStatus();
  }

  absl::Status Clear(const Guard::Admission& admission, const api::ClearFaultsRequest& request,
                     api::ClearFaultsResponse& response) const {
    const auto session = FindSession(admission, parts_.registry, request.session());
    if (!session.ok()) return session.status();
    const auto cleared = daemon::ClearFaults(**session);
    if (!cleared.ok()) return cleared.status();
    response.set_cleared(*cleared);
    LogAction(parts_.log, **session, admission.caller, {.action = "ClearFaults"});
    return absl::OkStatus();
  }

  absl::Status Inject(const Guard::Admission& admission,
                      const api::InjectFaultRequest& request) const {
    channel::InjectFaults question{};
    if (request.ranges_size() > static_cast<int>(channel::kMaxLimitRanges)) {
      return InvalidField("ranges",
                          absl::StrCat(request.ranges_size(), " ranges: expected at most ",
                                       channel::kMaxLimitRanges));
    }
    for (const api::Range& range : request.ranges()) {
      RETURN_IF_ERROR(CheckRange(absl::StrCat("ranges[", question.count, "]"), range));
      question.ranges[question.count++] = {range.first(), range.last()};
    }
    question.dry_run = request.dry_run() ? 1 : 0;
    const auto session = FindSession(admission, parts_.registry, request.session());
    if (!session.ok()) return session.status();
    RETURN_IF_ERROR(InjectFaults(**session, question));
    if (!request.dry_run()) {
      LogAction(parts_.log, **session, admission.caller, {.action = "InjectFault"});
    }
    return absl::OkStatus();
  }

  const Parts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFaultsService(const Parts& parts) {
  return std::make_unique<FaultsService>(parts);
}

}  // namespace tools::daemon
