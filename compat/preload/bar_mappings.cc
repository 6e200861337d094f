#include "compat/preload/bar_mappings.h"

#include <algorithm>
#include <atomic>

#include "compat/preload/growing_array.h"
#include "compat/preload/process_host.h"
#include "ioas/base/private_lock.h"

namespace compat::preload {
namespace {

using ioas::PrivateLock;

struct BarMapping {
  uint32_t slot;
  std::byte* address;
  size_t size;
  bool writable;

  std::byte* end() const { return address + size; }
};

PrivateLock g_lock;
ioas::SignalMask g_signals_over_fork;
std::atomic<size_t> g_count{0};
// Guarded by g_lock, as is what follows.
GrowingArray<BarMapping> g_mappings;
// Mappings that are about to be made, and have room.
size_t g_prepared = 0;
// Slots that lost memory since EndBarMappings.
GrowingArray<uint32_t> g_ending;

bool Overlaps(const BarMapping& mapping, const std::byte* first, const std::byte* end) {
  return mapping.address < end && first < mapping.end();
}

// Cuts [first, end) out of the mapping at `index`, which overlaps it: it becomes what is left below
// and what is left above goes to the list's end, or the mapping goes.
void Cut(size_t index, std::byte* first, std::byte* end) {
  const BarMapping mapping = g_mappings[index];
  std::byte* const cut_first = std::max(first, mapping.address);
  std::byte* const cut_end = std::min(end, mapping.end());
  const auto size = static_cast<size_t>(cut_end - cut_first);
  if (mapping.writable) OpenedHost()->OnUnmap(mapping.slot, cut_first, size);
  // Where there is no room after all, the file's end is noticed late.
  g_ending.Add(mapping.slot);
  const BarMapping above = {mapping.slot, cut_end, static_cast<size_t>(mapping.end() - cut_end),
                            mapping.writable};
  g_mappings[index].size = static_cast<size_t>(cut_first - mapping.address);
  if (g_mappings[index].size == 0) g_mappings.Remove(index);
  if (above.size != 0) g_mappings.Add(above);
}

}  // namespace

bool AnyBarMapped() { return g_count.load(std::memory_order_relaxed) != 0; }

bool PrepareBarMapping() {
  const PrivateLock::Guard guard(g_lock);
  if (!g_mappings.Reserve(g_mappings.size() + g_prepared + 1)) return false;
  ++g_prepared;
  return true;
}

void CancelBarMapping() {
  const PrivateLock::Guard guard(g_lock);
  --g_prepared;
}

void OnBarMapped(uint32_t slot, void* address, size_t size, bool writable) {
  const PrivateLock::Guard guard(g_lock);
  --g_prepared;
  g_mappings.Add({slot, static_cast<std::byte*>(address), size, writable});
  g_count = g_mappings.size();
  if (writable) OpenedHost()->OnMapped(slot, address, size);
}

bool PrepareBarUnmap(void* address, size_t size) {
  const PrivateLock::Guard guard(g_lock);
  auto* const first = static_cast<std::byte*>(address);
  const auto cut = static_cast<size_t>(std::count_if(
      g_mappings.begin(), g_mappings.end(),
      [&](const BarMapping& mapping) { return Overlaps(mapping, first, first + size); }));
  if (cut == 0) return true;
  // At most one of them becomes two.
  return g_mappings.Reserve(g_mappings.size() + g_prepared + 1) &&
         g_ending.Reserve(g_ending.size() + cut);
}

void OnBarUnmap(void* address, size_t size) {
  const PrivateLock::Guard guard(g_lock);
  auto* const first = static_cast<std::byte*>(address);
  for (size_t i = g_mappings.size(); i-- > 0;) {
    if (Overlaps(g_mappings[i], first, first + size)) Cut(i, first, first + size);
  }
  g_count = g_mappings.size();
}

void EndBarMappings() {
  GrowingArray<uint32_t> ended;
  {
    const PrivateLock::Guard guard(g_lock);
    ended.Swap(g_ending);
  }
  for (const uint32_t slot : ended) OpenedHost()->OnClosed(slot);
  ended.Free();
}

void WatchInheritedBars() {
  if (!AnyBarMapped()) return;
  const PrivateLock::Guard guard(g_lock);
  for (const BarMapping& mapping : g_mappings) {
    if (mapping.writable) OpenedHost()->StartDeviceOf(mapping.slot);
  }
}

void HoldBarMappings() {
  // Another thread may be forking, too.
  const ioas::SignalMask signals = g_lock.Lock();
  g_signals_over_fork = signals;
}

void ReleaseBarMappings() {
  const ioas::SignalMask signals = g_signals_over_fork;
  g_lock.Unlock(signals);
}

}  // namespace compat::preload
