// A ring of events: what a program's calls write, and one thread reads.
#ifndef COMPAT_EVENTS_RING_H_
#define COMPAT_EVENTS_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "compat/session/channel.h"

namespace compat::events {

// Pushing takes no lock and waits for nobody. What does not fit is dropped and counted. Lies in
// memory that is all zero to begin with: 512 KiB.
class Ring {
 public:
  static constexpr uint64_t kCapacity = uint64_t{1} << 14;

  // Adds an event, of which Event::access is below 256. Any thread may.
  void Push(const session::Event& event);
  // The same for one who knows that no other thread pushes meanwhile.
  void PushAlone(const session::Event& event) {
    const uint64_t place = tail_.load(std::memory_order_relaxed);
    if (place - head_.load(std::memory_order_acquire) >= kCapacity) [[unlikely]] {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    Put(place, event);
    tail_.store(place + 1, std::memory_order_release);
  }

  // --- For the one thread that reads ---

  // How many places were given away: the end of what is there, or is about to be.
  uint64_t end() const { return tail_.load(); }
  // Whether all before `end` was taken.
  bool IsTaken(uint64_t end) const { return end == head_.load(std::memory_order_relaxed); }
  bool IsEmpty() const { return IsTaken(end()); }
  // Moves events, oldest first, as many as are there before `end` and fit. Returns how many.
  size_t Take(uint64_t end, std::span<session::Event> events);
  // How many were dropped since the last time.
  uint64_t TakeDropped();

 private:
  // The first word of an event is written last and makes it one. It says which round round the ring
  // wrote it, so that the reader writes nothing to the cells: 128 to 255, 0 before the first.
  static constexpr unsigned kRoundShift = 24;
  static constexpr uint64_t kFetchedAhead = 16;
  static constexpr uint64_t RoundOf(uint64_t place) { return (place / kCapacity % 128) | 128; }
  static std::atomic_ref<uint64_t> WordOf(session::Event& cell) {
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(&cell));
  }

  // Asks for the line that is due soon. The reader's processor has it since the last round, and
  // waiting for it to be given back would cost more than all else here.
  void FetchLineOf(uint64_t place) {
    session::Event* const cell = &cells_[place % kCapacity];
#ifdef __x86_64__
    // What __builtin_prefetch compiles to without this only asks to read.
    asm volatile("prefetchw %0" : : "m"(*cell));
#else
    __builtin_prefetch(cell, 1);
#endif
  }

  void Put(uint64_t place, const session::Event& event) {
    FetchLineOf(place + kFetchedAhead);
    session::Event& cell = cells_[place % kCapacity];
    // Put together in a register: loading at once what was stored in parts would wait for that.
    const uint64_t word = uint64_t{event.kind} | uint64_t{event.access} << 16 |
                          RoundOf(place) << kRoundShift | uint64_t{event.container} << 32;
    cell.first = event.first;
    cell.last = event.last;
    cell.value = event.value;
    WordOf(cell).store(word, std::memory_order_release);
  }

  // A line that changes by the batch, and one that changes with each event.
  alignas(64) std::atomic<uint64_t> head_;  // how many were taken
  alignas(64) std::atomic<uint64_t> tail_;
  alignas(64) std::atomic<uint64_t> dropped_;
  alignas(64) session::Event cells_[kCapacity];
};

}  // namespace compat::events

#endif  // COMPAT_EVENTS_RING_H_
