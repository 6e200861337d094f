// All rings of a process.
#ifndef COMPAT_EVENTS_RINGS_H_
#define COMPAT_EVENTS_RINGS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "compat/events/ring.h"
#include "compat/session/channel.h"

namespace compat::events {

// What happens in a container happens under its address space's lock, so that one thread at a time
// writes of it: the first containers that have something to tell get a ring each, in which pushing
// takes no atomic operation. All others, and what concerns none, share a ring. Pushing makes a
// system call only to wake the reader that sleeps. Made by Make alone.
class Rings {
 public:
  // In memory of their own, that is taken as rings are used. The reader is woken through the
  // eventfd `wake`. Null if there is no memory.
  static Rings* Make(int wake);
  // Gives the memory back. Nobody pushes any more.
  static void Unmake(Rings* rings);

  // Adds an event. The lock of the address space of event.container, if that is not 0, is held.
  void Push(const session::Event& event) {
    const uint32_t place = event.container % kOwnRings;
    const bool is_owner = owners_[place].load(std::memory_order_relaxed) == event.container;
    const bool is_last = event.kind == static_cast<uint16_t>(session::EventKind::kClosed);
    if (!is_owner || event.container == 0 || is_last) [[unlikely]] {
      return PushOther(event.kind | uint32_t{event.access} << 16, event.container, event.first,
                       event.last, event.value);
    }
    own_[place].PushAlone(event);
    if (sleeps_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      Wake();
  }

  // --- For the reader ---

  // Moves events as they came, container by container, as many as there are and fit. Returns how
  // many.
  size_t Take(std::span<session::Event> events);
  // How many were dropped since the last time.
  uint64_t TakeDropped();
  // The reader is about to sleep. Returns false, and it must not, if there is something to take.
  // From then on until AfterSleep the next push writes to the eventfd, once.
  bool BeforeSleep();
  void AfterSleep() { sleeps_.store(0, std::memory_order_relaxed); }
  // How long the reader may sleep, in milliseconds, at most `milliseconds`: where the kernel has no
  // membarrier(), it could sleep while there is something.
  int64_t SleepLimit(int64_t milliseconds) const;

 private:
  static constexpr uint32_t kOwnRings = 8;

  Rings() = default;
  // Gives a container a ring, if its place is free. Returns whether it has it, now or before.
  bool Claim(uint32_t place, uint32_t container);
  void Disown(uint32_t place, uint32_t container);
  // Of a container that has no ring yet, or of none, or the last of one. Takes the event in
  // registers, so that Push needs no memory for it: `kind` has the access in its upper half.
  void PushOther(uint32_t kind, uint32_t container, uint64_t first, uint64_t last, uint64_t value);
  void Wake();

  alignas(64) std::atomic<uint32_t> sleeps_;
  int wake_;
  bool has_barrier_;
  std::atomic<uint32_t> owners_[kOwnRings];  // the containers' numbers; 0: nobody's
  Ring shared_;
  Ring own_[kOwnRings];
};

}  // namespace compat::events

#endif  // COMPAT_EVENTS_RINGS_H_
