// This process's session with the daemon, where the environment names one.
#ifndef COMPAT_PRELOAD_CONTROL_H_
#define COMPAT_PRELOAD_CONTROL_H_

#include <atomic>

#include "compat/vfio/host.h"

namespace compat::preload {

namespace internal {

// A forked child is to have a session of its own, and has none yet.
extern std::atomic<bool> session_is_due;

// Begins it.
void BeginSession();

}  // namespace internal

// The process has opened `host`: begins its session with the daemon that listens, or will, on
// `path`. Called once.
void StartSession(vfio::Host& host, const char* path);

// A call is about to be made on the host. Cheap: one load.
inline void ContinueSession() {
  if (internal::session_is_due.load(std::memory_order_relaxed)) [[unlikely]]
    internal::BeginSession();
}

// To be called in a forked child.
void LeaveSessionToParent();

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_CONTROL_H_
