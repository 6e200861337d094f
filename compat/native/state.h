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

namespace compat::native {

// What an open /dev/iommu is. Type-stable, as containers are: once a context, the memory is only
// ever reused as one.
struct ContextState {
  // Guarded by the host's lock.
  ioas::ArenaRef<ContextState> next;  // the list of all contexts
  uint8_t in_use;                     // 0: free for reuse
  uint8_t file_open;                  // devices that are bound to it keep it as well

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
  uint8_t is_auto;
  uint8_t is_nest_parent;
  uint8_t has_dirty_tracking;
};

// Devices from this number on are made up by those who test (mock_devices.h).
inline constexpr uint32_t kFirstMockDevice = vfio::kMaxDevices;

// A device that is bound to the context.
struct DeviceObject {
  uint32_t device;  // its index in the host; from kFirstMockDevice on: none of the host's
  uint32_t hwpt;    // what it is attached to; 0: nothing
};

}  // namespace compat::native

#endif  // COMPAT_NATIVE_STATE_H_
