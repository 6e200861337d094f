#include "compat/preload/descriptor_table.h"

namespace compat::preload {

std::atomic<uint32_t> g_slots[kMaxDescriptors];
std::atomic<uint32_t> g_highest_descriptor{0};

bool SetSlot(int fd, uint32_t entry) {
  // The last entry stays empty: it is where -1 leads.
  if (fd < 0 || static_cast<uint32_t>(fd) >= kMaxDescriptors - 1) return false;
  const auto number = static_cast<uint32_t>(fd);
  uint32_t highest = g_highest_descriptor.load(std::memory_order_relaxed);
  while (entry != 0 && highest < number &&
         !g_highest_descriptor.compare_exchange_weak(highest, number)) {
  }
  g_slots[number].store(entry, std::memory_order_relaxed);
  return true;
}

}  // namespace compat::preload
