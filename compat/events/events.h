// What a program's calls tell the thread that answers the daemon.
//
// Off, as it is without a watcher, an event costs a load and a branch.
#ifndef COMPAT_EVENTS_EVENTS_H_
#define COMPAT_EVENTS_EVENTS_H_

#include <atomic>
#include <cstdint>

#include "compat/events/ring.h"
#include "compat/session/channel.h"

namespace compat::events {

namespace internal {

// A bit 1 << EventKind for each kind that somebody watches.
extern std::atomic<uint32_t> wanted;

}  // namespace internal

inline bool IsWanted(session::EventKind kind) {
  return (internal::wanted.load(std::memory_order_relaxed) >> static_cast<int>(kind) & 1) != 0;
}

// What of an event is not kind and container: see session::EventKind.
struct Details {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t value = 0;
  uint32_t access = 0;
};

// Adds to the ring, without asking who wants it.
void Push(session::EventKind kind, uint32_t container, const Details& details);

// Something has happened in `container`, a number; 0: in none.
inline void Emit(session::EventKind kind, uint32_t container, const Details& details = {}) {
  if (IsWanted(kind)) [[unlikely]]
    Push(kind, container, details);
}

// --- For the one thread that reads ---

// Has events of `kinds` (as internal::wanted) put into the ring from now on; 0: none any more. The
// ring is made at the first call that wants any, with `wake` (see Ring::Make), and stays. Returns
// false, and nothing has changed, if there is no memory.
bool Watch(uint32_t kinds, int wake);
// The ring; null before Watch has made it.
Ring* TheRing();

// To be called in a forked child, which has one thread: nobody watches it yet.
void AfterForkInChild();

}  // namespace compat::events

#endif  // COMPAT_EVENTS_EVENTS_H_
