// What a program's calls tell the thread that answers the daemon.
//
// Off, as it is without a watcher, an event costs a load and a branch.
#ifndef COMPAT_EVENTS_EVENTS_H_
#define COMPAT_EVENTS_EVENTS_H_

#include <atomic>
#include <cstdint>

#include "compat/events/rings.h"
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

namespace internal {

// Adds an event without asking who wants it.
void Push(session::EventKind kind, uint32_t container, uint32_t access, uint64_t first,
          uint64_t last, uint64_t value);

}  // namespace internal

// Something has happened in `container`, a number, whose address space's lock is held; 0: in none.
inline void Emit(session::EventKind kind, uint32_t container, const Details& details = {}) {
  if (IsWanted(kind)) [[unlikely]] {
    internal::Push(kind, container, details.access, details.first, details.last, details.value);
  }
}

// --- For the one thread that reads ---

// Has events of `kinds` (as internal::wanted) put into rings from now on; 0: none any more. The
// rings are made at the first call that wants any, with `wake` (see Rings::Make), and stay. Returns
// false, and nothing has changed, if there is no memory.
bool Watch(uint32_t kinds, int wake);
// Null before Watch has made them.
Rings* TheRings();

// To be called in a forked child, which has one thread: nobody watches it yet.
void AfterForkInChild();

}  // namespace compat::events

#endif  // COMPAT_EVENTS_EVENTS_H_
