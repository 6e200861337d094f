// One caller's Sessions.Watch.
#ifndef TOOLS_DAEMON_SERVICES_WATCH_REACTOR_H_
#define TOOLS_DAEMON_SERVICES_WATCH_REACTOR_H_

#include <grpcpp/support/server_callback.h>

#include "absl/status/statusor.h"
#include "tools/daemon/access/guard.h"
#include "tools/daemon/events/event_log.h"
#include "tools/daemon/services/parts.h"
#include "vfio/compat/v1/sessions.pb.h"

namespace tools::daemon {

using WatchWriter = grpc::ServerWriteReactor<vfio::compat::v1::WatchResponse>;

// Serves a call that was admitted, until its end; `admission` is given back then.
WatchWriter* StartWatch(const Parts& parts, Guard::Admission admission,
                        const vfio::compat::v1::WatchRequest& request);

// Fails a call.
WatchWriter* RefuseWatch(const absl::Status& status);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_WATCH_REACTOR_H_
