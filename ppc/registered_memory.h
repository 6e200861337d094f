// The memory that processes have registered for their SPAPR TCE containers.
//
// A region is known by process, whichever of its containers registered it, and counts as locked
// memory once. What is unregistered while a window leads there stays known, and locked, as long as
// the process lives. Behaviour: arch/powerpc/mm/book3s64/iommu_api.c, whose list hangs on the
// process's memory (struct mm_struct), and what vfio_iommu_spapr_tce.c makes of it: it drops the
// last reference of a region that is mapped, and gets it back.
#ifndef PPC_REGISTERED_MEMORY_H_
#define PPC_REGISTERED_MEMORY_H_

#include <cstdint>
#include <optional>

#include "ioas/backend.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/mapping_index.h"
#include "ioas/process_table.h"

namespace ppc {

// What one process registered.
struct ProcessMemory {
  ioas::ArenaRef<ProcessMemory> next;
  uint32_t process;             // an index in the ProcessTable
  ioas::ProcessIdentity owner;  // who that was
  uint32_t containers;          // that have joined
  uint64_t locked_bytes;        // of its regions
  // By user address. Of ioas::Mapping, `owner` is how many containers have registered the region,
  // `extra` how many more borrow it, and `flags` whether it is left behind.
  ioas::MappingIndexState regions;
};

// All processes' memory, as it lies in the arena.
struct RegisteredMemoryState {
  ioas::RobustMutex mutex;  // guards all of it; taken after an address space's
  ioas::ArenaRef<ProcessMemory> first;
};

// A view on it.
class RegisteredMemory {
 public:
  RegisteredMemory(ioas::Arena arena, RegisteredMemoryState* state, ioas::ProcessTable processes)
      : arena_(arena), state_(state), processes_(processes) {}

  // A container of this process, whose index is `process`, joins its memory: Leave ends that.
  // ENOMEM. Forgets processes that have ended.
  ioas::Result<ioas::ArenaRef<ProcessMemory>> Join(uint32_t process);
  void Leave(ioas::ArenaRef<ProcessMemory> memory);

  // Registers a region that is known already, exactly: for one more container. False if it is not.
  bool Acquire(ioas::ArenaRef<ProcessMemory> memory, const ioas::MemoryRange& region);
  // Registers a new region, whose bytes count as locked already. EINVAL if it overlaps one that is
  // known, ENOMEM.
  ioas::Status Add(ioas::ArenaRef<ProcessMemory> memory, const ioas::MemoryRange& region);
  // Undoes Acquire or Add for the region that begins at `first`. Where the container's windows
  // still lead there (`borrows`) it borrows the region from now on. The last one takes the region
  // off the locked memory, unless that is left behind.
  void Release(ioas::ArenaRef<ProcessMemory> memory, uint64_t first, bool borrows);

  // Borrows the region that contains [address, address + size): the container's windows are to
  // lead there, and it did not register it. Nothing if there is none.
  std::optional<ioas::MemoryRange> Borrow(ioas::ArenaRef<ProcessMemory> memory, uint64_t address,
                                          uint64_t size);
  // Undoes Borrow.
  void Return(ioas::ArenaRef<ProcessMemory> memory, uint64_t first);

 private:
  class Lock;
  ioas::MappingIndex RegionsOf(ioas::ArenaRef<ProcessMemory> memory) {
    return {arena_, &arena_.Get(memory)->regions};
  }
  bool HasEnded(const ProcessMemory& memory) const;
  // Drops what nobody uses of the memory of processes.
  void Sweep();

  ioas::Arena arena_;
  RegisteredMemoryState* state_;
  ioas::ProcessTable processes_;
};

}  // namespace ppc

#endif  // PPC_REGISTERED_MEMORY_H_
