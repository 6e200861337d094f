#include "compat/events/events.h"

namespace compat::events {
namespace {

std::atomic<Rings*> the_rings{nullptr};

}  // namespace

namespace internal {

std::atomic<uint32_t> wanted{0};

void Push(session::EventKind kind, uint32_t container, uint32_t access, uint64_t first,
          uint64_t last, uint64_t value) {
  Rings* const rings = the_rings.load(std::memory_order_acquire);
  if (rings == nullptr) return;
  rings->Push({.kind = static_cast<uint16_t>(kind),
               .access = static_cast<uint16_t>(access),
               .container = container,
               .first = first,
               .last = last,
               .value = value});
}

}  // namespace internal

bool Watch(uint32_t kinds, int wake) {
  if (kinds != 0 && TheRings() == nullptr) {
    Rings* const made = Rings::Make(wake);
    if (made == nullptr) return false;
    the_rings.store(made, std::memory_order_release);
  }
  internal::wanted.store(kinds, std::memory_order_relaxed);
  return true;
}

Rings* TheRings() { return the_rings.load(std::memory_order_acquire); }

void AfterForkInChild() {
  internal::wanted.store(0, std::memory_order_relaxed);
  Rings::Unmake(the_rings.exchange(nullptr));
}

}  // namespace compat::events
