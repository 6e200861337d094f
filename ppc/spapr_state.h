// A SPAPR TCE container as it lies in the arena, beside its ContainerState. Internal to this
// folder. Guarded by the address space's lock.
#ifndef PPC_SPAPR_STATE_H_
#define PPC_SPAPR_STATE_H_

#include <cstdint>

#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/mapping_index.h"
#include "ioas/process_table.h"
#include "ppc/platform.h"
#include "ppc/registered_memory.h"

namespace ppc {

struct SpaprState {
  PlatformProfile platform;
  // The process whose the container is, from the first call on that needs one; pid 0: nobody yet.
  ioas::ProcessIdentity owner;
  uint32_t process;                         // its index in the ProcessTable
  uint8_t is_enabled;                       // MAP and UNMAP are permitted
  uint8_t is_default_pending;               // the default window is still to be made
  uint64_t enabled_bytes;                   // locked by ENABLE
  uint64_t table_bytes[ioas::kMaxWindows];  // locked for each window's table
  // What the process registered; 0 until this container registers something.
  ioas::ArenaRef<ProcessMemory> memory;
  // The regions that are pinned for this container, by user address: those that it registered, and
  // those that its windows lead to without. Of ioas::Mapping, `user_address` is how many pages
  // lead there, `flags` whether it is registered here, and `extra` the backend's place for it.
  ioas::MappingIndexState pins;
};

}  // namespace ppc

#endif  // PPC_SPAPR_STATE_H_
