// Which descriptors of this process are the library's.
//
// A flat table of four bytes a descriptor, so that asking costs one load and one branch. It is
// never touched, and takes no memory, in programs that use no VFIO.
#ifndef COMPAT_PRELOAD_DESCRIPTOR_TABLE_H_
#define COMPAT_PRELOAD_DESCRIPTOR_TABLE_H_

#include <atomic>
#include <cstdint>

namespace compat::preload {

// Linux's default for fs.nr_open: no process has more descriptors unless an administrator says so.
inline constexpr uint32_t kMaxDescriptors = 1u << 20;

extern std::atomic<uint32_t> g_slots[kMaxDescriptors];

// In an entry: reading, writing and mapping the descriptor is the kernel's business.
inline constexpr uint32_t kPassesThrough = 1u << 31;

// What the table has of `fd`; 0: nothing.
inline uint32_t EntryOf(int fd) {
  return g_slots[static_cast<uint32_t>(fd) % kMaxDescriptors].load(std::memory_order_relaxed);
}

// The file slot that `fd` stands for, or 0: `fd` is the program's own business. A descriptor that
// was closed behind the library's back (fclose, a raw system call) may still be here.
inline uint32_t SlotOf(int fd) { return EntryOf(fd) & ~kPassesThrough; }

// The same for those who read, write and map: 0 if the kernel does it.
inline uint32_t EmulatedSlotOf(int fd) {
  const uint32_t entry = EntryOf(fd);
  return entry < kPassesThrough ? entry : 0;
}

// Makes `fd` stand for `entry`, a slot, with kPassesThrough where that is so; 0 forgets it. Returns
// false if `fd` is beyond the table.
bool SetSlot(int fd, uint32_t entry);

// No descriptor above this one has ever been in the table.
extern std::atomic<uint32_t> g_highest_descriptor;

// Calls `function(fd)` for each of the library's descriptors in [first, last].
template <typename Function>
void ForEachDescriptor(uint32_t first, uint32_t last, Function function) {
  const uint32_t highest = g_highest_descriptor.load(std::memory_order_relaxed);
  for (uint32_t fd = first; fd <= last && fd <= highest; ++fd) {
    if (SlotOf(static_cast<int>(fd)) != 0) function(static_cast<int>(fd));
  }
}

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_DESCRIPTOR_TABLE_H_
