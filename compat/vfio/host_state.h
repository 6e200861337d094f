// A host as it lies in the arena: the block that Arena::root() names.
#ifndef COMPAT_VFIO_HOST_STATE_H_
#define COMPAT_VFIO_HOST_STATE_H_

#include <atomic>
#include <cstdint>

#include "compat/vfio/container_state.h"
#include "compat/vfio/file_table.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/soft/soft_host.h"

// The memory that processes have registered for SPAPR TCE containers.
namespace ppc {
struct RegisteredMemoryState;
}

// What iommufd's own descriptors are.
namespace compat::native {
struct ContextState;
}

namespace compat::vfio {

// Groups are bits of a word (ContainerState::groups), and every device has a group.
inline constexpr uint32_t kMaxDevices = ioas::soft::kMaxDevices;
static_assert(kMaxDevices <= 64);

// What compat/kernel keeps of a device and of a host.
struct KernelDevice;
struct KernelHost;

struct DeviceState {
  ioas::ArenaRef<ioas::soft::SoftDeviceState> soft;  // one of the two
  ioas::ArenaRef<KernelDevice> kernel;
  uint32_t group;  // index in HostState::groups
  uint32_t opens;  // device files that are open
  // Where a cdev file has bound it: that file's slot, the context's arena unit, and the object's
  // number there. Slot 0: it is not bound; read without the host's lock as well. kBoundByGroup: it
  // was opened through its group, whose container is an iommufd.
  uint32_t bound_slot;
  uint32_t context;
  uint32_t device_object;
};

inline constexpr uint32_t kBoundByGroup = UINT32_MAX;

// An IOMMU group. Its counterpart is struct vfio_group in drivers/vfio/group.c.
struct GroupState {
  uint32_t number;        // as in /dev/vfio/NUMBER
  uint32_t slot;          // the file slot of its descriptor; 0: closed
  uint32_t device_opens;  // device files of its devices: each holds the group open
  // At most one of the two: a container, or an iommufd (its context's arena unit; 0: none).
  ioas::ArenaRef<ContainerState> container;
  uint32_t context;
  int32_t turn;  // the order of a container's groups, lowest first: the kernel's group_list

  bool has_iommu() const { return container || context != 0; }

  // Changes `container`, and reads it without the host's lock.
  void SetContainer(ioas::ArenaRef<ContainerState> other) {
    std::atomic_ref(container.unit).store(other.unit, std::memory_order_relaxed);
  }
  ioas::ArenaRef<ContainerState> LoadContainer() const {
    auto& unit = const_cast<uint32_t&>(container.unit);
    return {std::atomic_ref(unit).load(std::memory_order_relaxed)};
  }
};

// What became of a container, for the summary.
struct ContainerRecord {
  uint32_t number;
  uint32_t opener;
  decode::ContainerType type;
  uint32_t unknown_calls;
  uint32_t last_unknown_request;
  uint64_t live_mappings;  // when it ended
  ioas::AddressSpaceStatistics statistics;
};
inline constexpr uint32_t kMaxContainerRecords = 64;

struct HostState {
  // As the library lays hosts out that made this one: another library, of before an upgrade say,
  // must not take it for its own.
  uint64_t layout;
  uint64_t id;  // at random: tells it from all others

  // The host's lock: everything below, and ContainerState.
  ioas::RobustMutex mutex;
  FileTableState files;
  ioas::ArenaRef<ioas::soft::SoftHost> soft;  // one of the two
  ioas::ArenaRef<KernelHost> kernel;

  uint32_t device_count;
  uint32_t group_count;
  DeviceState devices[kMaxDevices];
  GroupState groups[kMaxDevices];

  // Every container there ever was, linked by ContainerState::next.
  ioas::ArenaRef<ContainerState> containers;
  uint32_t containers_opened;
  ioas::ArenaRef<native::ContextState> contexts;  // every one there ever was
  uint32_t contexts_opened;
  ioas::ArenaRef<ppc::RegisteredMemoryState> registered_memory;  // made by the first that needs it
  // What containers that are opened begin with.
  ioas::MappingLimits limits;
  uint32_t permitted_types;
  int32_t turns;  // how often a group was put into a container

  // The last kMaxContainerRecords containers that ended: record i is at i % kMaxContainerRecords.
  uint32_t records_made;
  ContainerRecord records[kMaxContainerRecords];
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_HOST_STATE_H_
