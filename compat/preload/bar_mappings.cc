#include "compat/preload/bar_mappings.h"

#include <atomic>
#include <vector>

#include "compat/preload/private_lock.h"
#include "compat/preload/process_host.h"

namespace compat::preload {
namespace {

struct BarMapping {
  uint32_t slot;
  std::byte* address;
  size_t size;
  bool writable;
};

PrivateLock g_lock;
unsigned long g_signals_over_fork;
std::atomic<size_t> g_count{0};
// Slots that lost memory since EndBarMappings. Guarded by g_lock, as is what follows.
std::vector<uint32_t>& Ending() {
  static auto* slots = new std::vector<uint32_t>;
  return *slots;
}
std::vector<BarMapping>& Mappings() {
  static auto* mappings = new std::vector<BarMapping>;
  return *mappings;
}

// Cuts [first, end) out of `mapping`; what is left of it goes to `kept`.
void Cut(const BarMapping& mapping, std::byte* first, std::byte* end,
         std::vector<BarMapping>& kept) {
  std::byte* const mapping_end = mapping.address + mapping.size;
  if (end <= mapping.address || mapping_end <= first) {
    kept.push_back(mapping);
    return;
  }
  std::byte* const cut_first = std::max(first, mapping.address);
  std::byte* const cut_end = std::min(end, mapping_end);
  const auto size = static_cast<size_t>(cut_end - cut_first);
  if (mapping.writable) OpenedHost()->OnUnmap(mapping.slot, cut_first, size);
  Ending().push_back(mapping.slot);
  if (mapping.address < cut_first) {
    kept.push_back({mapping.slot, mapping.address, static_cast<size_t>(cut_first - mapping.address),
                    mapping.writable});
  }
  if (cut_end < mapping_end) {
    kept.push_back(
        {mapping.slot, cut_end, static_cast<size_t>(mapping_end - cut_end), mapping.writable});
  }
}

}  // namespace

bool AnyBarMapped() { return g_count.load(std::memory_order_relaxed) != 0; }

void OnBarMapped(uint32_t slot, void* address, size_t size, bool writable) {
  PrivateLock::Guard guard(g_lock);
  Mappings().push_back({slot, static_cast<std::byte*>(address), size, writable});
  g_count = Mappings().size();
  if (writable) OpenedHost()->OnMapped(slot, address, size);
}

void OnBarUnmap(void* address, size_t size) {
  PrivateLock::Guard guard(g_lock);
  std::vector<BarMapping> kept;
  auto* const first = static_cast<std::byte*>(address);
  for (const BarMapping& mapping : Mappings()) Cut(mapping, first, first + size, kept);
  Mappings().swap(kept);
  g_count = Mappings().size();
}

void EndBarMappings() {
  std::vector<uint32_t> ended;
  {
    PrivateLock::Guard guard(g_lock);
    ended.swap(Ending());
  }
  for (const uint32_t slot : ended) OpenedHost()->OnClosed(slot);
}

void WatchInheritedBars() {
  if (!AnyBarMapped()) return;
  PrivateLock::Guard guard(g_lock);
  for (const BarMapping& mapping : Mappings()) {
    if (mapping.writable) OpenedHost()->StartDeviceOf(mapping.slot);
  }
}

void HoldBarMappings() { g_lock.Lock(g_signals_over_fork); }
void ReleaseBarMappings() { g_lock.Unlock(g_signals_over_fork); }

}  // namespace compat::preload
