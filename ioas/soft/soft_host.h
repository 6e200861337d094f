// What the devices of one arena share, and what is known of each of them.
#ifndef IOAS_SOFT_SOFT_HOST_H_
#define IOAS_SOFT_SOFT_HOST_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/domain.h"
#include "ioas/group_errors.h"
#include "ioas/pasid_table.h"
#include "ioas/process_table.h"
#include "ioas/range.h"
#include "ioas/soft/faults.h"
#include "ioas/soft/interrupts.h"
#include "ioas/soft/iommu_profile.h"
#include "ioas/soft/pci_config.h"

namespace ioas::soft {

inline constexpr uint32_t kMaxRefusedRanges = 16;
inline constexpr uint32_t kMaxDevices = 64;

// DOMAIN:BUS:DEVICE.FUNCTION.
struct PciAddress {
  uint16_t domain;
  uint8_t bus;
  uint8_t device;    // 0 to 31
  uint8_t function;  // 0 to 7

  // The address as one number: what fault records hold.
  constexpr uint32_t number() const {
    return uint32_t{domain} << 16 | uint32_t{bus} << 8 | uint32_t{device} << 3 | function;
  }
  static constexpr PciAddress FromNumber(uint32_t number) {
    return {static_cast<uint16_t>(number >> 16), static_cast<uint8_t>(number >> 8),
            static_cast<uint8_t>(number >> 3 & 31), static_cast<uint8_t>(number & 7)};
  }
  constexpr bool operator==(const PciAddress&) const = default;
};

// Which model a device has.
enum class ModelKind : uint32_t { kNvme = 1, kDmaEngine = 2, kTest = ~0u };

struct SoftHost;

// A device. It lies in the arena; SoftDevice is a process's hold on it.
struct SoftDeviceState {
  // Fixed from the start.
  ArenaRef<SoftHost> host;
  PciAddress address;
  uint32_t group;        // its IOMMU group's number
  uint32_t group_index;  // in SoftHost::groups
  IommuProfile iommu;
  uint8_t pasid_bits;  // how many its PASIDs have; 0: it has none
  ModelKind kind;
  uint32_t model_unit;  // the model's state in the arena
  uint32_t model_bytes;
  uint32_t registers_unit;  // what programs map: page aligned
  uint32_t registers_bytes;
  uint32_t hidden_registers_unit;  // where they are kept while programs see ones (freeze.h)

  RobustMutex mutex;              // guards all below; taken before an address space's
  std::atomic<uint32_t> waiting;  // threads that want the mutex for a program's call
  DmaTarget target;
  PasidTableState<DmaTarget> pasid_targets;  // of accesses that name a PASID
  PciConfigState config;
  InterruptState interrupts;
  bool hides_registers;
  // An operator holds its group: the model stands still. As the errors said when the device's lock
  // was last taken for them, so that work that is under way is done.
  bool is_held;
};

// Holds a device's lock for a program's call. A thread that looks at the device again and again
// sees that somebody waits, and lets it go first.
class [[nodiscard]] DeviceLock {
 public:
  explicit DeviceLock(SoftDeviceState& device) : lock_(Announce(device)) {
    device.waiting.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  static RobustMutex& Announce(SoftDeviceState& device) {
    device.waiting.fetch_add(1, std::memory_order_relaxed);
    return device.mutex;
  }

  RobustLock lock_;
};

// An IOMMU group that has devices.
struct SoftGroup {
  uint32_t number;
  GroupErrors errors;
};

// Ranges that are refused, as threads read them while they are replaced.
struct RefusedRanges {
  std::atomic<uint32_t> count;
  std::atomic<uint64_t> first[kMaxRefusedRanges];
  std::atomic<uint64_t> last[kMaxRefusedRanges];
};

// Lies in the arena.
struct SoftHost {
  RobustMutex mutex;  // guards the list of devices while it grows
  ProcessTableState process_table;
  FaultLogState fault_log;
  // What the host was made with, and what was injected since: in the one of two that is in force,
  // the other is for the next.
  uint32_t refused_count;
  IovaRange refused[kMaxRefusedRanges];
  RefusedRanges injected[2];
  std::atomic<uint32_t> injected_in_force;
  std::atomic<uint32_t> device_count;
  ArenaRef<SoftDeviceState> devices[kMaxDevices];
  uint32_t group_count;
  SoftGroup groups[kMaxDevices];

  ProcessTable processes() { return ProcessTable(&process_table); }
  FaultLog faults() { return FaultLog(&fault_log); }
  GroupErrors& errors_of(const SoftDeviceState& device) {
    return groups[device.group_index].errors;
  }
};

// Makes a host without devices. ENOMEM if the arena is full.
Result<ArenaRef<SoftHost>> CreateHost(Arena& arena);

// Makes all DMA in `range` fail. To be called before devices are used. ENOSPC if kMaxRefusedRanges
// are refused already.
Status RefuseRange(SoftHost& host, const IovaRange& range);

// Makes all DMA in `ranges` fail from now on, and that in the ranges that were injected before work
// again. ENOSPC if there were more than kMaxRefusedRanges with those of RefuseRange. With `dry_run`
// that is all that is found out.
Status InjectFaults(SoftHost& host, std::span<const IovaRange> ranges, bool dry_run);

// All ranges in which DMA fails, into `ranges` (kMaxRefusedRanges are enough). Returns how many.
uint32_t ListRefused(const SoftHost& host, std::span<IovaRange> ranges);

// What a new device is to be.
struct DeviceSpec {
  PciAddress address;
  uint32_t group;
  ModelKind kind;
  uint32_t model_bytes;      // of the model's state, at least 1; zeroed
  uint32_t registers_bytes;  // of mappable registers, page aligned; zeroed
  uint8_t pasid_bits = 0;    // up to kMaxPasidBits
};

// Adds a device to the host. EEXIST if the address is taken, ENOSPC if kMaxDevices are there,
// ENOMEM if the arena is full.
Result<ArenaRef<SoftDeviceState>> CreateDevice(Arena& arena, SoftHost& host,
                                               const DeviceSpec& spec);

// The group of that number, in SoftHost::groups; group_count if there is none.
uint32_t FindGroup(const SoftHost& host, uint32_t number);

// The host's device at `address`; 0 if there is none.
ArenaRef<SoftDeviceState> FindDevice(const Arena& arena, const SoftHost& host,
                                     const PciAddress& address);

}  // namespace ioas::soft

#endif  // IOAS_SOFT_SOFT_HOST_H_
