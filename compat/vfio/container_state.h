// A container as it lies in the arena.
#ifndef COMPAT_VFIO_CONTAINER_STATE_H_
#define COMPAT_VFIO_CONTAINER_STATE_H_

#include <atomic>
#include <cstdint>

#include "compat/decode/call.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/pin_registry.h"
#include "ioas/tracking_tables.h"

// What ppc/ keeps of a SPAPR TCE container.
namespace ppc {
struct SpaprState;
}

namespace compat::vfio {

// Guarded by the host's lock, but for what the address space's lock guards as well. The memory is
// type-stable: once a container, it is only ever reused as one, so a call that lost a race with
// close() may still take the address space's lock and look.
struct ContainerState {
  ioas::ArenaRef<ContainerState> next;            // the list of all containers
  std::atomic<uint32_t> slot;                     // the file slot it was opened as
  uint32_t number;                                // counts containers from 1, for people
  uint32_t opener;                                // process id
  uint8_t in_use;                                 // 0: free for reuse
  uint8_t file_open;                              // its own descriptor is open somewhere
  uint64_t groups;                                // a bit for each group of the host that is in it
  ioas::ArenaRef<ioas::AddressSpaceState> space;  // made once, kept for reuse
  uint32_t ioas;                                  // kernel backend: the IOAS's object number
  uint8_t has_stale_mappings;                     // kernel backend: the IOAS is not empty yet
  uint8_t enforces_cache_coherency;               // as in ioas::IommuProperties

  // What SET_IOMMU made of it. Changes under both locks, so either suffices to read it.
  std::atomic<decode::ContainerType> type;
  ioas::TrackingTables tables;  // kernel backend: the IOAS's, if any
  ioas::PinRegistry registry;   // kernel backend: the IOAS's, if any
  // Type 1: DIRTY_PAGES START is in force, mappings have bitmaps. Address space's lock.
  uint8_t dirty_tracking;
  // It is for an operator, and the program knows nothing of it.
  uint8_t is_tracked_for_operator;
  // The backend records what devices write; otherwise everything counts as written.
  uint8_t is_dirty_recorded;
  // Type 1: mappings whose address is invalid (UNMAP with FLAG_VADDR). Address space's lock.
  uint32_t invalid_addresses;
  // Type 1: the program has asked whether mappings may pass to another process (UPDATE_VADDR).
  std::atomic<uint8_t> may_change_process;
  // SPAPR TCE: made once, kept for reuse.
  ioas::ArenaRef<ppc::SpaprState> spapr;

  // What operators did to it. Revoked: it has lost its groups, and every call is ENODEV. Held: its
  // groups are, and those that join it. A bit 1 << ContainerType for each type that SET_IOMMU may
  // choose; 0: no limit.
  std::atomic<uint8_t> is_revoked;
  uint8_t is_held;
  uint32_t permitted_types;

  std::atomic<uint32_t> unknown_calls;
  std::atomic<uint32_t> last_unknown_request;
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_CONTAINER_STATE_H_
