#include <grpcpp/server_context.h>

#include <bit>

#include "absl/strings/str_cat.h"
#include "tools/daemon/services/log_action.h"
#include "tools/daemon/services/once.h"
#include "tools/daemon/services/parts_ahead.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/services/services.h"
#include "tools/daemon/sessions/questions.h"
#include "vfio/compat/v1/dirty.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;

class DirtyService final : public api::Dirty::Service {
 public:
  explicit DirtyService(const Parts& parts) : parts_(parts) {}

  grpc::Status StartTracking(grpc::ServerContext* context, const api::StartTrackingRequest* request,
                             api::StartTrackingResponse* response) override {
    return Guarded(parts_.guard, *context, "Dirty.StartTracking",
                   [&](const Guard::Admission& admission) {
                     return Once(parts_.replays, admission, "StartTracking", *request,
                                 request->dry_run(), *response, [&] {
                                   const auto answer = Change(admission, *request, "StartTracking",
                                                              channel::DirtyOperation::kStart);
                                   if (!answer.ok()) return answer.status();
                                   response->set_is_exact(answer->is_exact != 0);
                                   return absl::OkStatus();
                                 });
                   });
  }

  grpc::Status StopTracking(grpc::ServerContext* context, const api::StopTrackingRequest* request,
                            api::StopTrackingResponse* response) override {
    return Guarded(parts_.guard, *context, "Dirty.StopTracking",
                   [&](const Guard::Admission& admission) {
                     return Once(parts_.replays, admission, "StopTracking", *request,
                                 request->dry_run(), *response, [&] {
                                   return Change(admission, *request, "StopTracking",
                                                 channel::DirtyOperation::kStop)
                                       .status();
                                 });
                   });
  }

  grpc::Status ReadBitmap(grpc::ServerContext* context, const api::ReadBitmapRequest* request,
                          grpc::ServerWriter<api::ReadBitmapResponse>* writer) override {
    return Guarded(
        parts_.guard, *context, "Dirty.ReadBitmap",
        [&](const Guard::Admission& admission) { return Read(admission, *request, *writer); });
  }

 private:
  template <typename Request>
  absl::StatusOr<channel::DirtyAnswer> Change(const Guard::Admission& admission,
                                              const Request& request, const char* method,
                                              channel::DirtyOperation operation) const {
    RETURN_IF_ERROR(CheckContainer(request.container()));
    const auto session = FindSession(admission, parts_.registry, request.session());
    if (!session.ok()) return session.status();
    channel::Dirty question{};
    question.operation = static_cast<uint32_t>(operation);
    question.dry_run = request.dry_run() ? 1 : 0;
    question.container = request.container();
    auto answer = DoDirty(**session, question);
    if (answer.ok() && !request.dry_run()) {
      LogAction(parts_.log, **session, admission.caller,
                {.action = method, .container = request.container()});
    }
    return answer;
  }

  absl::Status Read(const Guard::Admission& admission, const api::ReadBitmapRequest& request,
                    grpc::ServerWriter<api::ReadBitmapResponse>& writer) const {
    RETURN_IF_ERROR(CheckContainer(request.container()));
    if (request.page_size() != 0 && !std::has_single_bit(request.page_size())) {
      return InvalidField("page_size", absl::StrCat(request.page_size(),
                                                    " is no page size: expected a power of two"));
    }
    channel::Dirty question{};
    question.operation = static_cast<uint32_t>(channel::DirtyOperation::kRead);
    question.container = request.container();
    question.last = UINT64_MAX;
    question.page_size = request.page_size();
    if (request.has_range()) {
      RETURN_IF_ERROR(CheckRange("range", request.range()));
      question.first = request.range().first();
      question.last = request.range().last();
    }
    const auto session = FindSession(admission, parts_.registry, request.session());
    if (!session.ok()) return session.status();
    api::ReadBitmapResponse response;
    return ForEachPart(**session, channel::Kind::kDirty, question, CheckDirty,
                       [&](const DirtyPart& part) {
                         if (part.answer.bit_count == 0) return true;
                         response.set_first(part.answer.first);
                         response.set_page_size(part.answer.page_size);
                         response.set_bit_count(part.answer.bit_count);
                         response.set_bitmap(part.bits.data(), part.bits.size());
                         return writer.Write(response);
                       });
  }

  const Parts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDirtyService(const Parts& parts) {
  return std::make_unique<DirtyService>(parts);
}

}  // namespace tools::daemon
