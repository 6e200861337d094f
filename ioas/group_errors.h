// What has become of a group's devices after an error: a frozen group is cut off from programs and
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
};
inline constexpr uint32_t kFrozen = kIoFrozen | kDmaFrozen;

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
