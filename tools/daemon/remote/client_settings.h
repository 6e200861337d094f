// What OpenClient asks for.
#ifndef TOOLS_DAEMON_REMOTE_CLIENT_SETTINGS_H_
#define TOOLS_DAEMON_REMOTE_CLIENT_SETTINGS_H_

#include "absl/status/statusor.h"
#include "tools/daemon/remote/clients.h"
#include "vfio/compat/v1/containers.pb.h"

namespace tools::daemon::remote {

// kInvalidArgument, with the field, if it cannot be had.
absl::StatusOr<ClientSettings> ReadSettings(const vfio::compat::v1::OpenClientRequest& request);

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_CLIENT_SETTINGS_H_
