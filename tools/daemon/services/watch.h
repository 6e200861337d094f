// Sessions.Watch.
#ifndef TOOLS_DAEMON_SERVICES_WATCH_H_
#define TOOLS_DAEMON_SERVICES_WATCH_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include "absl/status/status.h"
#include "tools/daemon/access/guard.h"
#include "tools/daemon/services/parts.h"
#include "vfio/compat/v1/sessions.pb.h"

namespace tools::daemon {

// Writes events until the call is cancelled or the log is stopped.
absl::Status Watch(const Parts& parts, const Guard::Admission& admission,
                   grpc::ServerContext& context, const vfio::compat::v1::WatchRequest& request,
                   grpc::ServerWriter<vfio::compat::v1::WatchResponse>& writer);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_WATCH_H_
