// What the services' requests have in common: fields that name sessions, ranges and pages, each
// checked, with errors that name the field.
#ifndef TOOLS_DAEMON_SERVICES_REQUESTS_H_
#define TOOLS_DAEMON_SERVICES_REQUESTS_H_

#include <grpcpp/support/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/daemon/access/guard.h"
#include "tools/daemon/errors/errors.h"
#include "tools/daemon/sessions/session.h"
#include "vfio/compat/v1/common.pb.h"

namespace tools::daemon {

class Registry;

inline constexpr int32_t kDefaultPageSize = 1000;
inline constexpr int32_t kMaxPageSize = 10'000;
inline constexpr size_t kMaxRequestId = 64;

// A session's id: 16 hexadecimal digits.
absl::StatusOr<uint64_t> ParseSessionId(absl::string_view field, const std::string& text);

// The session that a field names, if the caller may call this method on it. kNotFound
// ("SESSION_NOT_FOUND") if there is none, or none that the caller may see; kPermissionDenied
// ("SESSION_OF_ANOTHER") if it may only look at it.
absl::StatusOr<std::shared_ptr<Session>> FindSession(const Guard::Admission& admission,
                                                     const Registry& registry,
                                                     const std::string& id,
                                                     absl::string_view field = "session");

// A container's number, which is not 0.
absl::Status CheckContainer(uint32_t container);
// A range whose first address is not above its last.
absl::Status CheckRange(absl::string_view field, const vfio::compat::v1::Range& range);
// At most 64 printable characters.
absl::Status CheckRequestId(const std::string& request_id);
// How many entries a page has.
absl::StatusOr<size_t> CheckPageSize(int32_t page_size);

// Has `handler`, which gets the admission, carry out a call of `method` if the guard admits it.
template <typename Handler>
grpc::Status Guarded(Guard& guard, const grpc::ServerContextBase& context, absl::string_view method,
                     const Handler& handler) {
  const absl::StatusOr<Guard::Admission> admission = guard.Admit(context, method);
  if (!admission.ok()) return ToGrpc(admission.status());
  return ToGrpc(handler(*admission));
}

}  // namespace tools::daemon

#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#endif  // TOOLS_DAEMON_SERVICES_REQUESTS_H_
