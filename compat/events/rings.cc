#include "compat/events/rings.h"

#include <linux/membarrier.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "ioas/base/system_call.h"

namespace compat::events {

using ioas::SystemCall;
using session::Event;

Rings* Rings::Make(int wake) {
  void* const memory =
      mmap(nullptr, sizeof(Rings), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  Rings* const rings = new (memory) Rings;
  rings->wake_ = wake;
  rings->has_barrier_ =
      SystemCall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
  return rings;
}

void Rings::Unmake(Rings* rings) {
  if (rings != nullptr) munmap(rings, sizeof(Rings));
}

void Rings::PushOther(uint32_t kind, uint32_t container, uint64_t first, uint64_t last,
                      uint64_t value) {
  const Event event = {.kind = static_cast<uint16_t>(kind),
                       .access = static_cast<uint16_t>(kind >> 16),
                       .container = container,
                       .first = first,
                       .last = last,
                       .value = value};
  const uint32_t place = container % kOwnRings;
  if (container != 0 && Claim(place, container)) {
    own_[place].PushAlone(event);
  } else {
    shared_.Push(event);
  }
  // Its ring is the next one's.
  if (event.kind == static_cast<uint16_t>(session::EventKind::kClosed)) Disown(place, container);
  if (sleeps_.load(std::memory_order_relaxed) != 0) Wake();
}

bool Rings::Claim(uint32_t place, uint32_t container) {
  uint32_t owner = 0;
  return owners_[place].compare_exchange_strong(owner, container, std::memory_order_acquire) ||
         owner == container;
}

void Rings::Disown(uint32_t place, uint32_t container) {
  if (container == 0 || owners_[place].load(std::memory_order_relaxed) != container) return;
  owners_[place].store(0, std::memory_order_release);
}

void Rings::Wake() {
  if (sleeps_.exchange(0) == 0) return;
  const uint64_t one = 1;
  SystemCall(SYS_write, wake_, &one, sizeof(one));
}

// A container may have told of earlier things in the shared ring: so that is taken first, and of
// the others what was there before.
size_t Rings::Take(std::span<Event> events) {
  uint64_t ends[kOwnRings];
  for (uint32_t i = 0; i < kOwnRings; ++i) ends[i] = own_[i].end();
  const uint64_t shared_end = shared_.end();
  size_t taken = shared_.Take(shared_end, events);
  if (!shared_.IsTaken(shared_end)) return taken;
  for (uint32_t i = 0; i < kOwnRings && taken < events.size(); ++i) {
    taken += own_[i].Take(ends[i], events.subspan(taken));
  }
  return taken;
}

uint64_t Rings::TakeDropped() {
  uint64_t dropped = shared_.TakeDropped();
  for (Ring& ring : own_) dropped += ring.TakeDropped();
  return dropped;
}

// Pushing stores the end of a ring and then looks whether the reader sleeps, without a barrier in
// between: the reader has all threads make one.
bool Rings::BeforeSleep() {
  sleeps_.store(1);
  if (has_barrier_) SystemCall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
  const bool is_empty = shared_.IsEmpty() && std::all_of(std::begin(own_), std::end(own_),
                                                         [](Ring& ring) { return ring.IsEmpty(); });
  if (!is_empty) AfterSleep();
  return is_empty;
}

int64_t Rings::SleepLimit(int64_t milliseconds) const {
  constexpr int64_t kWithoutBarrier = 20;
  return has_barrier_ ? milliseconds : std::min(milliseconds, kWithoutBarrier);
}

}  // namespace compat::events
