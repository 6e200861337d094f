// What keeps a group's devices from memory, or from programs: an error, or somebody outside.
//
// After an error a frozen group is cut off from programs and
// from memory until somebody recovers it. On POWER the group is a partitionable endpoint (PE), and
// this is what its hardware knows of it.
#ifndef IOAS_GROUP_ERRORS_H_
#define IOAS_GROUP_ERRORS_H_

#include <atomic>
#include <cstdint>

namespace ioas {

enum GroupErrorBits : uint32_t {
  kIoFrozen = 1u << 0,   // reads of registers and configuration space give ones, writes are lost
  kDmaFrozen = 1u << 1,  // all DMA is a fault
  kInReset = 1u << 2,    // a reset is asserted: configuration space is as with kIoFrozen
  kFreezesOnFault = 1u << 3,  // a fault of a device freezes the group
  // An operator cut the group off from memory, by itself or with its container: all DMA is a fault.
  // No error, and no recovery from one changes that.
  kGroupHeld = 1u << 4,
  kContainerHeld = 1u << 5,
};
inline constexpr uint32_t kFrozen = kIoFrozen | kDmaFrozen;
inline constexpr uint32_t kHeld = kGroupHeld | kContainerHeld;
inline constexpr uint32_t kDmaBlocked = kDmaFrozen | kHeld;

// Lies in the arena. A device's fault may freeze the group at any time; everybody else who changes
// it holds the host's lock.
struct GroupErrors {
  std::atomic<uint32_t> bits;     // GroupErrorBits
  std::atomic<uint32_t> freezes;  // how often an error has frozen the group

  bool has(uint32_t any) const { return (bits.load() & any) != 0; }

  bool is_frozen() const { return (bits.load() & kFrozen) == kFrozen; }

  // A fault: freezes the group, if that is asked for.
  void OnFault() {
    if (!has(kFreezesOnFault) || (bits.fetch_or(kFrozen) & kFrozen) == kFrozen) return;
    freezes.fetch_add(1, std::memory_order_relaxed);
  }
};

}  // namespace ioas

#endif  // IOAS_GROUP_ERRORS_H_
