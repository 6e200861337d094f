#include "compat/events/events.h"

namespace compat::events {
namespace {

std::atomic<Ring*> the_ring{nullptr};

}  // namespace

namespace internal {

std::atomic<uint32_t> wanted{0};

}  // namespace internal

void Push(session::EventKind kind, uint32_t container, const Details& details) {
  Ring* const ring = the_ring.load(std::memory_order_acquire);
  if (ring == nullptr) return;
  ring->Push({.kind = static_cast<uint16_t>(kind),
              .access = static_cast<uint16_t>(details.access),
              .container = container,
              .first = details.first,
              .last = details.last,
              .value = details.value});
}

bool Watch(uint32_t kinds, int wake) {
  if (kinds != 0 && TheRing() == nullptr) {
    Ring* const made = Ring::Make(wake);
    if (made == nullptr) return false;
    the_ring.store(made, std::memory_order_release);
  }
  internal::wanted.store(kinds, std::memory_order_relaxed);
  return true;
}

Ring* TheRing() { return the_ring.load(std::memory_order_acquire); }

void AfterForkInChild() {
  internal::wanted.store(0, std::memory_order_relaxed);
  Ring::Unmake(the_ring.exchange(nullptr));
}

}  // namespace compat::events
