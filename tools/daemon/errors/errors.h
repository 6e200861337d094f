// Errors of the control surface: absl::Status, with what gRPC's clients know as details. Each has a
// google.rpc.ErrorInfo, whose reason is constant and for programs; the message is for people.
#ifndef TOOLS_DAEMON_ERRORS_ERRORS_H_
#define TOOLS_DAEMON_ERRORS_ERRORS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace grpc {
class Status;
}

namespace google::protobuf {
class Message;
}

namespace tools::daemon {

inline constexpr char kErrorDomain[] = "vfio.compat.v1";

// What an error names, by name: "session" -> "00c0ffee00c0ffee".
using ErrorMetadata = std::map<std::string, std::string>;

// An error with an ErrorInfo. `reason` is in capitals, such as "SESSION_NOT_FOUND".
absl::Status Error(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                   const ErrorMetadata& metadata = {});

// kInvalidArgument, reason "FIELD_INVALID", with a BadRequest that names `field` ("range.first").
// `description` says what it was and what was expected; the message is both.
absl::Status InvalidField(absl::string_view field, absl::string_view description);

// The same with another code and reason, where the field is not wrong by itself.
absl::Status FieldError(absl::StatusCode code, absl::string_view reason, absl::string_view field,
                        absl::string_view description);

// Adds a message of any other type, which clients find among the details.
absl::Status WithDetail(absl::Status status, const google::protobuf::Message& detail);

// Adds when the call may be made again.
absl::Status WithRetry(absl::Status status, double seconds);

// The status that goes over the wire, with its details.
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ERRORS_ERRORS_H_
