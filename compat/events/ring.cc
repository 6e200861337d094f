#include "compat/events/ring.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace compat::events {

using session::Event;

static_assert(std::endian::native == std::endian::little);
static_assert(offsetof(Event, access) == 2 && offsetof(Event, container) == 4 &&
              offsetof(Event, first) == 8);

void Ring::Push(const Event& event) {
  uint64_t place = tail_.load(std::memory_order_relaxed);
  do {
    if (place - head_.load(std::memory_order_acquire) >= kCapacity) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  } while (!tail_.compare_exchange_weak(place, place + 1));
  Put(place, event);
}

size_t Ring::Take(uint64_t end, std::span<Event> events) {
  const uint64_t head = head_.load(std::memory_order_relaxed);
  const size_t most = std::min<uint64_t>(events.size(), end - head);
  size_t taken = 0;
  for (; taken < most; ++taken) {
    Event& cell = cells_[(head + taken) % kCapacity];
    const uint64_t word = WordOf(cell).load(std::memory_order_acquire);
    // Given away, and not written yet.
    if ((word >> kRoundShift & 0xff) != RoundOf(head + taken)) break;
    Event& event = events[taken];
    event = cell;
    event.access &= 0xff;
  }
  if (taken != 0) head_.store(head + taken, std::memory_order_release);
  return taken;
}

uint64_t Ring::TakeDropped() {
  if (dropped_.load(std::memory_order_relaxed) == 0) return 0;
  return dropped_.exchange(0, std::memory_order_relaxed);
}

}  // namespace compat::events
