// The ring of events: what a program's calls write, and one thread reads.
#ifndef COMPAT_EVENTS_RING_H_
#define COMPAT_EVENTS_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "compat/session/channel.h"

namespace compat::events {

// Any thread pushes, one takes. Pushing takes no lock, waits for nobody and makes a system call
// only to wake the reader, who has slept on an empty ring. What does not fit is dropped and
// counted. Made by Make alone, in memory that is all zero.
class Ring {
 public:
  static constexpr uint64_t kCapacity = uint64_t{1} << 14;

  // A ring in memory of its own, 512 KiB. The reader is woken through the eventfd `wake`. Null if
  // there is no memory.
  static Ring* Make(int wake);
  // Gives the memory back. Nobody pushes any more.
  static void Unmake(Ring* ring);

  // Adds an event, of which Event::access is below 256.
  void Push(const session::Event& event);

  // --- For the reader ---

  // Moves events, oldest first, as many as there are and fit. Returns how many.
  size_t Take(std::span<session::Event> events);
  // How many were dropped since the last time. Asked before Take, it is about events that are newer
  // than those that the ring held then.
  uint64_t TakeDropped() { return dropped_.exchange(0, std::memory_order_relaxed); }
  // The reader is about to sleep. Returns false, and it must not, if there is something to take.
  // From then on until AfterSleep the next push writes to the eventfd, once.
  bool BeforeSleep();
  void AfterSleep() { sleeps_.store(0, std::memory_order_relaxed); }

 private:
  Ring() = default;

  // Lines that change by the batch, and one that changes with each event.
  alignas(64) std::atomic<uint64_t> head_;  // how many were taken
  std::atomic<uint32_t> sleeps_;
  int wake_;
  alignas(64) std::atomic<uint64_t> tail_;  // how many places were given away
  alignas(64) std::atomic<uint64_t> dropped_;
  // The upper byte of a cell's `access` says which round round the ring wrote it, so that the
  // reader writes nothing here: 0 before the first.
  alignas(64) session::Event cells_[kCapacity];
};

}  // namespace compat::events

#endif  // COMPAT_EVENTS_RING_H_
