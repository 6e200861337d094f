#include "compat/session/socket_watch.h"

#include <sys/inotify.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace compat::session {

using ioas::SystemCall;

void SocketWatch::Begin(const char* path) {
  if (inotify_ >= 0) return;
  char folder[sizeof(sockaddr_un::sun_path)] = {};
  std::strncpy(folder, path, sizeof(folder) - 1);
  // "/socket" lies in "/".
  folder[std::max<long>(std::strrchr(folder, '/') - folder, 1)] = '\0';
  const ioas::Result<int> hidden = ioas::soft::OpenHidden(
      [] { return SystemCall(SYS_inotify_init1, IN_CLOEXEC | IN_NONBLOCK); });
  if (!hidden.ok()) return;
  // A socket that is there already may be given to others, or listened on, later.
  constexpr uint32_t kEvents = IN_CREATE | IN_MOVED_TO | IN_ATTRIB;
  if (SystemCall(SYS_inotify_add_watch, *hidden, folder, kEvents) >= 0) {
    inotify_ = *hidden;
  } else {
    ioas::soft::CloseHidden(*hidden);
  }
}

void SocketWatch::End() {
  ioas::soft::CloseHidden(inotify_);
  inotify_ = -1;
}

}  // namespace compat::session
