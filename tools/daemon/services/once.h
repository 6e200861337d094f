// Calls that change something: carried out once for a request id, and told as events.
#ifndef TOOLS_DAEMON_SERVICES_ONCE_H_
#define TOOLS_DAEMON_SERVICES_ONCE_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "tools/daemon/access/guard.h"
#include "tools/daemon/services/replay_cache.h"
#include "tools/daemon/services/requests.h"

namespace tools::daemon {

// Has `handler` carry the call out, unless it was carried out before: then its answer is that one.
// A dry run, or a request without an id, is always carried out.
template <typename Request, typename Response, typename Handler>
absl::Status Once(ReplayCache& replays, const Guard::Admission& admission, absl::string_view method,
                  const Request& request, bool dry_run, Response& response,
                  const Handler& handler) {
  RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  if (dry_run || request.request_id().empty()) return handler();
  const std::string& caller = admission.caller.name;
  const auto begun = replays.Begin(caller, request.request_id(),
                                   absl::StrCat(method, ":", request.SerializeAsString()));
  if (!begun.ok()) return begun.status();
  if (begun->found == ReplayCache::Found::kAnswer) {
    response.ParseFromString(begun->answer);
    return absl::OkStatus();
  }
  absl::Status status = handler();
  if (status.ok()) {
    replays.Succeed(caller, request.request_id(), response.SerializeAsString());
  } else {
    replays.Fail(caller, request.request_id());
  }
  return status;
}

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_ONCE_H_
