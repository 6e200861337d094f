// What the daemon and the service manager (systemd) say to each other. Without one nothing of it
// does anything.
#ifndef TOOLS_DAEMON_SYSTEMD_SERVICE_MANAGER_H_
#define TOOLS_DAEMON_SYSTEMD_SERVICE_MANAGER_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/daemon/sockets/unique_fd.h"

namespace tools::daemon {

// Sockets that the service manager listens on for the daemon, non-blocking; those that it does not
// have are not ok().
struct ActivationSockets {
  UniqueFd api;      // SOCK_STREAM
  UniqueFd session;  // SOCK_SEQPACKET
};

// Takes them over ($LISTEN_FDS, which is unset). kInvalidArgument if there is anything else among
// them, or one twice.
absl::StatusOr<ActivationSockets> TakeActivationSockets();

// The daemon answers. `status` is for people, one line.
void NotifyReady(const std::string& status);
// The configuration is being read again; NotifyReady tells the end of it.
void NotifyReloading();
void NotifyStopping();

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SYSTEMD_SERVICE_MANAGER_H_
