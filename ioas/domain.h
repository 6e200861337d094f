// A page table of an IOMMU, as devices go through it to an address space.
//
// Legacy address spaces have one page table each, which needs no state of its own. Those that
// programs make have: what goes beyond leading where the address space says, as what was written.
#ifndef IOAS_DOMAIN_H_
#define IOAS_DOMAIN_H_

#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/dirty_pages.h"
#include "ioas/user_table.h"

namespace ioas {

namespace soft {
struct IommuEventsState;
struct PageRequestsState;
}  // namespace soft

// Lies in the arena. Guarded by the lock of its address space.
struct DomainState {
  ArenaRef<AddressSpaceState> space;  // where it leads; fixed
  DirtyPagesState dirty;              // what devices wrote through it
  // Of a nested one, fixed: the program's own table, and the page table that this lies on.
  ArenaRef<UserTableState> user_table;
  ArenaRef<DomainState> parent;
  // Who is to hear of addresses that lead nowhere, so that they lead somewhere, and of faults; 0:
  // nobody. Change while no device goes through the page table.
  ArenaRef<soft::PageRequestsState> page_requests;
  ArenaRef<soft::IommuEventsState> events;
};

// What a device's DMA reaches.
struct DmaTarget {
  ArenaRef<AddressSpaceState> space;  // 0: nothing, it is blocked
  ArenaRef<DomainState> domain;       // 0: the address space, and nothing more
  uint32_t device = 0;                // what page requests call the device

  bool operator==(const DmaTarget&) const = default;
};

}  // namespace ioas

#endif  // IOAS_DOMAIN_H_
