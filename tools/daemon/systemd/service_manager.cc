#include "tools/daemon/systemd/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tools::daemon {

absl::StatusOr<ActivationSockets> TakeActivationSockets() {
  const int count = sd_listen_fds(/*unset_environment=*/1);
  if (count < 0) {
    return absl::InvalidArgumentError(absl::StrCat("$LISTEN_FDS: ", std::strerror(-count)));
  }
  std::vector<UniqueFd> given;
  for (int i = 0; i < count; ++i) given.emplace_back(SD_LISTEN_FDS_START + i);
  ActivationSockets sockets;
  for (UniqueFd& fd : given) {
    const bool is_api = sd_is_socket(fd.get(), AF_UNIX, SOCK_STREAM, 1) > 0;
    const bool is_session = sd_is_socket(fd.get(), AF_UNIX, SOCK_SEQPACKET, 1) > 0;
    UniqueFd& place = is_api ? sockets.api : sockets.session;
    if ((!is_api && !is_session) || place.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("descriptor ", fd.get(),
                       " of the service manager is not wanted: one SOCK_STREAM and one "
                       "SOCK_SEQPACKET Unix socket are, listening"));
    }
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    place = std::move(fd);
  }
  return sockets;
}

void NotifyReady(const std::string& status) { sd_notifyf(0, "READY=1\nSTATUS=%s", status.c_str()); }

void NotifyReloading() { sd_notify(0, "RELOADING=1"); }

void NotifyStopping() { sd_notify(0, "STOPPING=1"); }

}  // namespace tools::daemon
