// Functions that install handlers of signals. They are looked on, no more: what they do is libc's.
#include "compat/preload/signals.h"

#include <fcntl.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "compat/preload/next.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

using ioas::SystemCall;
using Handler = sighandler_t;

// Once there was one, there may be one for good: it can come back by ways that are not seen.
std::atomic<bool> g_seen_handler{false};

// libc's own handlers, of pthread_cancel() and setuid(): they call nothing of the program's.
constexpr uint64_t kLibcsSignals = uint64_t{1} << (32 - 1) | uint64_t{1} << (33 - 1);

// Before the handler is there, so that no lock is taken meanwhile that would let it in.
void Note(Handler handler) {
  if (handler == SIG_DFL || handler == SIG_IGN || handler == SIG_HOLD || handler == SIG_ERR) return;
  g_seen_handler = true;
  ioas::SetMayHaveSignalHandlers(true);
}

// Whether the kernel knows of a handler; true if that cannot be found out.
bool HasHandlers() {
  constexpr char kField[] = "\nSigCgt:";
  char status[4096];
  const long fd = SystemCall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  const long length = SystemCall(SYS_read, fd, status, sizeof(status) - 1);
  SystemCall(SYS_close, fd);
  if (length <= 0) return true;
  status[length] = '\0';
  const char* field = std::strstr(status, kField);
  if (field == nullptr) return true;
  return (std::strtoull(field + sizeof(kField) - 1, nullptr, 16) & ~kLibcsSignals) != 0;
}

// The family of signal().
template <FunctionName kName>
Handler Install(int number, Handler handler) {
  Note(handler);
  return Next<kName, Handler(int, Handler)>()(number, handler);
}

template <FunctionName kName>
int Install(int number, const struct sigaction* action, struct sigaction* previous) {
  if (action != nullptr) Note(action->sa_handler);
  return Next<kName, int(int, const struct sigaction*, struct sigaction*)>()(number, action,
                                                                             previous);
}

}  // namespace

void WatchSignalHandlers() {
  // In this order, so that a handler that another thread installs meanwhile is not overlooked.
  ioas::SetMayHaveSignalHandlers(false);
  if (HasHandlers() || g_seen_handler) ioas::SetMayHaveSignalHandlers(true);
}

COMPAT_INTERPOSE int sigaction(int number, const struct sigaction* action,
                               struct sigaction* previous) noexcept {
  return Install<"sigaction">(number, action, previous);
}

COMPAT_INTERPOSE int __sigaction(int number, const struct sigaction* action,
                                 struct sigaction* previous) noexcept {
  return Install<"__sigaction">(number, action, previous);
}

COMPAT_INTERPOSE Handler signal(int number, Handler handler) noexcept {
  return Install<"signal">(number, handler);
}

COMPAT_INTERPOSE Handler ssignal(int number, Handler handler) noexcept {
  return Install<"ssignal">(number, handler);
}

COMPAT_INTERPOSE Handler bsd_signal(int number, Handler handler) noexcept {
  return Install<"bsd_signal">(number, handler);
}

COMPAT_INTERPOSE Handler sysv_signal(int number, Handler handler) noexcept {
  return Install<"sysv_signal">(number, handler);
}

COMPAT_INTERPOSE Handler __sysv_signal(int number, Handler handler) noexcept {
  return Install<"__sysv_signal">(number, handler);
}

COMPAT_INTERPOSE Handler sigset(int number, Handler handler) noexcept {
  return Install<"sigset">(number, handler);
}

}  // namespace compat::preload
