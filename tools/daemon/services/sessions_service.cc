#include <google/protobuf/util/field_mask_util.h>
#include <grpcpp/server_context.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tools/daemon/services/convert.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/services/services.h"
#include "tools/daemon/services/watch.h"
#include "tools/daemon/sessions/questions.h"
#include "tools/daemon/sessions/registry.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
using google::protobuf::FieldMask;
using google::protobuf::util::FieldMaskUtil;

// Whether `field` of Session, or something in it, is wanted.
bool IsWanted(const FieldMask& mask, const std::string& field) {
  return mask.paths().empty() || std::ranges::any_of(mask.paths(), [&](const std::string& path) {
           return path == field || path.rfind(field + ".", 0) == 0;
         });
}

absl::Status CheckMask(const FieldMask& mask) {
  for (int i = 0; i < mask.paths_size(); ++i) {
    if (FieldMaskUtil::IsValidPath<api::Session>(mask.paths(i))) continue;
    return InvalidField(absl::StrCat("field_mask.paths[", i, "]"),
                        "expected the path of a field of Session");
  }
  return absl::OkStatus();
}

class SessionsService final : public api::Sessions::Service {
 public:
  explicit SessionsService(const Parts& parts) : parts_(parts) {}

  grpc::Status ListSessions(grpc::ServerContext* context, const api::ListSessionsRequest* request,
                            api::ListSessionsResponse* response) override {
    return Guarded(parts_.guard, *context, "Sessions.ListSessions",
                   [&](const Guard::Admission& admission) {
                     return ListPage(admission.caller, *request, *response);
                   });
  }

  grpc::Status GetSession(grpc::ServerContext* context, const api::GetSessionRequest* request,
                          api::Session* response) override {
    return Guarded(
        parts_.guard, *context, "Sessions.GetSession",
        [&](const Guard::Admission& admission) { return Get(admission, *request, *response); });
  }

  grpc::Status Watch(grpc::ServerContext* context, const api::WatchRequest* request,
                     grpc::ServerWriter<api::WatchResponse>* writer) override {
    return Guarded(parts_.guard, *context, "Sessions.Watch",
                   [&](const Guard::Admission& admission) {
                     return daemon::Watch(parts_, admission, *context, *request, *writer);
                   });
  }

 private:
  // A page token is the id of the last session of the page before, and the host that was asked for.
  absl::Status ListPage(const Caller& caller, const api::ListSessionsRequest& request,
                        api::ListSessionsResponse& response) const {
    const absl::StatusOr<size_t> page_size = CheckPageSize(request.page_size());
    if (!page_size.ok()) return page_size.status();
    uint64_t host = 0;
    if (!request.host().empty()) {
      const auto parsed = ParseSessionId("host", request.host());
      if (!parsed.ok()) return parsed.status();
      host = *parsed;
    }
    uint64_t after = 0;
    if (const std::string& token = request.page_token(); !token.empty()) {
      const auto parsed = ParseSessionId("page_token", token.substr(0, 16));
      if (!parsed.ok() || token.substr(16) != absl::StrCat("@", request.host())) {
        return InvalidField("page_token",
                            "expected the next_page_token of an answer to the same request");
      }
      after = *parsed;
    }
    for (const std::shared_ptr<Session>& session : parts_.registry.List()) {
      const SessionIdentity& identity = session->identity();
      if (identity.id <= after || !caller.MaySee(identity.uid)) continue;
      if (!request.host().empty() && identity.host != host) continue;
      if (response.sessions_size() == static_cast<int>(*page_size)) {
        response.set_next_page_token(
            absl::StrCat(response.sessions().rbegin()->id(), "@", request.host()));
        break;
      }
      Describe(*session, *response.add_sessions());
    }
    return absl::OkStatus();
  }

  absl::Status Get(const Guard::Admission& admission, const api::GetSessionRequest& request,
                   api::Session& response) const {
    const FieldMask& mask = request.field_mask();
    RETURN_IF_ERROR(CheckMask(mask));
    const auto session = FindSession(admission, parts_.registry, request.session());
    if (!session.ok()) return session.status();
    RETURN_IF_ERROR(AskFor(mask, **session, response));
    Describe(**session, response);
    if (!mask.paths().empty()) FieldMaskUtil::TrimMessage(mask, &response);
    return absl::OkStatus();
  }

  // What only the process knows, as far as it is wanted.
  static absl::Status AskFor(const FieldMask& mask, Session& session, api::Session& response) {
    const bool wants_containers = IsWanted(mask, "containers");
    const bool wants_ioases = IsWanted(mask, "ioases");
    if (!wants_containers && !wants_ioases && !IsWanted(mask, "groups")) return absl::OkStatus();
    const auto groups = ListGroups(session);
    if (!groups.ok()) return groups.status();
    for (const auto& group : *groups) daemon::Describe(group, *response.add_groups());
    if (wants_containers) {
      const auto containers = ListContainers(session);
      if (!containers.ok()) return containers.status();
      for (const auto& container : *containers) {
        daemon::Describe(container, *groups, *response.add_containers());
      }
    }
    if (!wants_ioases) return absl::OkStatus();
    const auto ioases = ListIoases(session);
    if (!ioases.ok()) return ioases.status();
    for (const auto& ioas : *ioases) daemon::Describe(ioas, *groups, *response.add_ioases());
    return absl::OkStatus();
  }

  const Parts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeSessionsService(const Parts& parts) {
  return std::make_unique<SessionsService>(parts);
}

}  // namespace tools::daemon
