// A context of iommufd and its objects, as they lie in the arena.
#ifndef COMPAT_NATIVE_STATE_H_
#define COMPAT_NATIVE_STATE_H_

#include <atomic>
#include <cstdint>

#include "compat/native/object_table.h"
#include "compat/vfio/host_state.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/domain.h"
#include "ioas/pasid_table.h"
#include "ioas/soft/iommu_events.h"
#include "ioas/soft/page_requests.h"

namespace compat::native {

// What an open /dev/iommu is. Type-stable, as containers are: once a context, the memory is only
// ever reused as one.
struct ContextState {
  // Guarded by the host's lock.
  ioas::ArenaRef<ContextState> next;  // the list of all contexts
  uint8_t in_use;                     // 0: free for reuse
  uint8_t file_open;                  // devices that are bound to it keep it as well
  uint32_t number;                    // counts contexts from 1, for people; see IoasView
  uint32_t opener;                    // process id

  // Taken after the host's lock, and before those of address spaces. Guards the rest.
  ioas::RobustMutex mutex;
  std::atomic<uint32_t> slot;    // the file slot it was opened as; 0: closed
  uint32_t accounts_by_process;  // OPTION_RLIMIT_MODE
  uint32_t vfio_ioas;            // the address space of legacy calls; 0: none
  ObjectTableState objects;
};

struct IoasState {
  ioas::ArenaRef<ioas::AddressSpaceState> space;
};

// A page table for devices: a domain of its address space.
struct HwptState {
  uint32_t ioas;  // the address space's number
  ioas::ArenaRef<ioas::DomainState> domain;
  uint32_t made_for;  // a device behind the IOMMU whose page table it is, as in DeviceObject
  uint8_t is_auto;
  uint8_t has_dirty_tracking;  // it was made so that it can record what devices write
  uint8_t is_nest_parent;
  uint8_t is_for_pasids;  // devices that have PASIDs attached may be attached to it
  uint32_t fault;         // who is asked for what it lacks; 0: nobody
};

// A page table of the program's own, on one for devices.
struct NestedState {
  uint32_t parent;                           // the number of that
  ioas::ArenaRef<ioas::DomainState> domain;  // 0: of mock devices
  uint32_t mock;                             // what these have instead, in the arena
  uint32_t viommu;                           // what it was made on instead of the parent; 0: none
  uint32_t fault;                            // as above
  uint8_t is_unusable;                       // the IOMMU lacks what it needs
  uint8_t is_for_pasids;                     // as above
};

// A queue of page requests, which is a file as well.
struct FaultState {
  ioas::ArenaRef<ioas::soft::PageRequestsState> requests;
  uint32_t slot;  // the file; 0: it is closed
};

// An IOMMU that the program emulates.
struct ViommuState {
  uint32_t parent;  // the page table that it is on
  uint32_t type;
  ioas::ArenaRef<ioas::soft::IommuEventsState> events;
};

// A device's number in it.
struct VdeviceState {
  uint32_t viommu;
  uint32_t device;  // the device object
  uint64_t virt_id;
  uint32_t fault_number;  // what faults call the device
};

// A queue of its events, which is a file as well.
struct VeventqState {
  uint32_t viommu;
  uint32_t type;
  uint32_t slot;  // the file; 0: it is closed
  ioas::ArenaRef<ioas::soft::EventQueueState> queue;
};

// Devices from this number on are made up by those who test (mock_devices.h).
inline constexpr uint32_t kFirstMockDevice = vfio::kMaxDevices;

// A device that is bound to the context.
struct DeviceObject {
  uint32_t device;  // its index in the host; from kFirstMockDevice on: none of the host's
  uint32_t hwpt;    // what it is attached to; 0: nothing
  // It was attached as PASID 0, which is the same, but calls without a PASID do not know of it.
  uint8_t is_pasid_zero;
  ioas::PasidTableState<uint32_t> pasids;  // what its PASIDs from 1 on are attached to
};

}  // namespace compat::native

#endif  // COMPAT_NATIVE_STATE_H_
