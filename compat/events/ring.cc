#include "compat/events/ring.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "ioas/base/system_call.h"

namespace compat::events {
namespace {

using session::Event;

// The first word of an event, which is written last and makes it one.
constexpr unsigned kRoundShift = 24;
constexpr uint64_t kRoundMask = uint64_t{0xff} << kRoundShift;
static_assert(offsetof(Event, access) == 2 && offsetof(Event, first) == 8);

// 1 to 255.
constexpr uint64_t RoundOf(uint64_t place) { return place / Ring::kCapacity % 255 + 1; }

std::atomic_ref<uint64_t> WordOf(Event& cell) {
  return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(&cell));
}

}  // namespace

Ring* Ring::Make(int wake) {
  void* const memory =
      mmap(nullptr, sizeof(Ring), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  Ring* const ring = new (memory) Ring;
  ring->wake_ = wake;
  return ring;
}

void Ring::Unmake(Ring* ring) {
  if (ring != nullptr) munmap(ring, sizeof(Ring));
}

void Ring::Push(const Event& event) {
  uint64_t place = tail_.load(std::memory_order_relaxed);
  do {
    if (place - head_.load(std::memory_order_acquire) >= kCapacity) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  } while (!tail_.compare_exchange_weak(place, place + 1));
  Event& cell = cells_[place % kCapacity];
  uint64_t word = 0;
  std::memcpy(&word, &event, sizeof(word));
  cell.first = event.first;
  cell.last = event.last;
  cell.value = event.value;
  WordOf(cell).store(word | RoundOf(place) << kRoundShift, std::memory_order_release);
  // Either the reader sees the tail that has moved, or this sees that it sleeps.
  if (sleeps_.load() == 0 || sleeps_.exchange(0) == 0) return;
  const uint64_t one = 1;
  ioas::SystemCall(SYS_write, wake_, &one, sizeof(one));
}

size_t Ring::Take(std::span<Event> events) {
  const uint64_t head = head_.load(std::memory_order_relaxed);
  size_t taken = 0;
  for (; taken < events.size(); ++taken) {
    Event& cell = cells_[(head + taken) % kCapacity];
    const uint64_t word = WordOf(cell).load(std::memory_order_acquire);
    if ((word & kRoundMask) >> kRoundShift != RoundOf(head + taken)) break;
    Event& event = events[taken];
    event = cell;
    event.access &= 0xff;
  }
  head_.store(head + taken, std::memory_order_release);
  return taken;
}

bool Ring::BeforeSleep() {
  sleeps_.store(1);
  if (tail_.load() == head_.load(std::memory_order_relaxed)) return true;
  AfterSleep();
  return false;
}

}  // namespace compat::events
