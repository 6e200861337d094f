// Unix sockets that the daemon listens on.
#ifndef TOOLS_DAEMON_SOCKETS_LISTEN_H_
#define TOOLS_DAEMON_SOCKETS_LISTEN_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "tools/daemon/sockets/unique_fd.h"

namespace tools::daemon {

// Listens at `path`, on a non-blocking socket of `type` (SOCK_STREAM, SOCK_SEQPACKET) whose file
// has `mode`; the folder is made, with mode 0755, if it is not there. A socket that nobody listens
// on any more is replaced. kAlreadyExists if somebody does, or if something else is at `path`;
// kInvalidArgument if the path is too long for a socket.
absl::StatusOr<UniqueFd> ListenAt(const std::string& path, int type, mode_t mode);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SOCKETS_LISTEN_H_
