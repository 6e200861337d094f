#include "compat/preload/control.h"

#include <new>

#include "compat/preload/log.h"
#include "compat/session/control_thread.h"

namespace compat::preload {

namespace internal {

std::atomic<bool> session_is_due{false};

}  // namespace internal

namespace {

// Set once, before the first child can be forked that looks at it.
std::atomic<session::ControlThread*> the_thread{nullptr};

void Start() {
  const ioas::Status started = the_thread.load()->Start();
  if (started.ok()) return;
  Log(settings::LogLevel::kWarning, "no session with the daemon (errno %d): %s",
      started.error().code, started.error().reason);
}

}  // namespace

void internal::BeginSession() {
  if (session_is_due.exchange(false)) Start();
}

void StartSession(vfio::Host& host, const char* path) {
  auto* const thread = new (std::nothrow) session::ControlThread(host, path);
  if (thread == nullptr) return;
  the_thread = thread;
  Start();
}

void LeaveSessionToParent() {
  session::ControlThread* const thread = the_thread.load();
  if (thread == nullptr) return;
  thread->AfterForkInChild();
  internal::session_is_due = true;
}

}  // namespace compat::preload
