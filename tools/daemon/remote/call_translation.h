// Calls as clients send them, and as vfio-compat-remote makes them.
#ifndef TOOLS_DAEMON_REMOTE_CALL_TRANSLATION_H_
#define TOOLS_DAEMON_REMOTE_CALL_TRANSLATION_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/daemon/remote/calls.h"
#include "vfio/compat/v1/containers.pb.h"

namespace tools::daemon::remote {

struct TranslatedCall {
  Call call;
  absl::string_view bytes;  // of the request, as long as it lives
};

// kInvalidArgument, with the field, if there is no call in the request or it is larger than it may
// be.
absl::StatusOr<TranslatedCall> Translate(const vfio::compat::v1::CallRequest& request);

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_CALL_TRANSLATION_H_
