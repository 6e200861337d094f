#include "compat/preload/descriptor_table.h"

namespace compat::preload {

std::atomic<uint32_t> g_slots[kMaxDescriptors];

bool SetSlot(int fd, uint32_t slot) {
  // The last entry stays empty: it is where -1 leads.
  if (fd < 0 || static_cast<uint32_t>(fd) >= kMaxDescriptors - 1) return false;
  g_slots[fd].store(slot, std::memory_order_relaxed);
  return true;
}

}  // namespace compat::preload
