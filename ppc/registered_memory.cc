#include "ppc/registered_memory.h"

#include <cerrno>

namespace ppc {

using ioas::ArenaRef;
using ioas::Mapping;
using ioas::MappingIndex;
using ioas::MemoryRange;

namespace {

// Of Mapping::flags: the region was unregistered while it was mapped.
constexpr uint32_t kLeftBehind = 1;

}  // namespace

// Whoever died with the lock leaves what he was changing unknown: that process's own regions, or
// those of one whose container he closed.
class [[nodiscard]] RegisteredMemory::Lock {
 public:
  explicit Lock(RegisteredMemory& all) : lock_(all.state_->mutex) {
    if (!lock_.owner_died()) return;
    for (ArenaRef<ProcessMemory> each = all.state_->first; each;
         each = all.arena_.Get(each)->next) {
      MappingIndex regions = all.RegionsOf(each);
      if (!regions.Validate()) regions.Clear();
    }
  }

 private:
  ioas::RobustLock lock_;
};

bool RegisteredMemory::HasEnded(const ProcessMemory& memory) const {
  return processes_.identity(memory.process) != memory.owner ||
         ioas::ProcessStartTime(memory.owner.pid) != memory.owner.start_time;
}

void RegisteredMemory::Sweep() {
  ArenaRef<ProcessMemory>* link = &state_->first;
  while (*link) {
    ProcessMemory& memory = *arena_.Get(*link);
    if (memory.containers != 0 || (memory.regions.size != 0 && !HasEnded(memory))) {
      link = &memory.next;
      continue;
    }
    const ArenaRef<ProcessMemory> unused = *link;
    // What it has locked keeps the entry in the process table its own.
    processes_.UnlockMemory(memory.process, memory.locked_bytes);
    RegionsOf(unused).Clear();
    *link = memory.next;
    arena_.Delete(unused);
  }
}

ioas::Result<ArenaRef<ProcessMemory>> RegisteredMemory::Join(uint32_t process) {
  Lock lock(*this);
  Sweep();
  const ioas::ProcessIdentity owner = processes_.identity(process);
  for (ArenaRef<ProcessMemory> each = state_->first; each; each = arena_.Get(each)->next) {
    ProcessMemory& memory = *arena_.Get(each);
    if (memory.process != process || memory.owner != owner) continue;
    ++memory.containers;
    return each;
  }
  const auto made = arena_.New<ProcessMemory>();
  if (!made.ok()) return made.error();
  *arena_.Get(*made) = {.next = state_->first,
                        .process = process,
                        .owner = owner,
                        .containers = 1,
                        .locked_bytes = 0,
                        .regions = {}};
  state_->first = *made;
  return *made;
}

void RegisteredMemory::Leave(ArenaRef<ProcessMemory> memory) {
  Lock lock(*this);
  --arena_.Get(memory)->containers;
  Sweep();
}

bool RegisteredMemory::Acquire(ArenaRef<ProcessMemory> memory, const MemoryRange& region) {
  Lock lock(*this);
  MappingIndex regions = RegionsOf(memory);
  const auto known = regions.FindContaining(region.first);
  if (!known || known->first != region.first || known->last != region.last) return false;
  return regions.Update(region.first, [](Mapping& updated) { ++updated.owner; });
}

ioas::Status RegisteredMemory::Add(ArenaRef<ProcessMemory> memory, const MemoryRange& region) {
  Lock lock(*this);
  const ioas::Status added =
      RegionsOf(memory).Insert({.first = region.first, .last = region.last, .owner = 1});
  if (!added.ok() && added.error().code == EEXIST) {
    return ioas::Error{EINVAL, "the region overlaps one that the process knows"};
  }
  if (added.ok()) arena_.Get(memory)->locked_bytes += region.size();
  return added;
}

void RegisteredMemory::Release(ArenaRef<ProcessMemory> memory, uint64_t first, bool borrows) {
  Lock lock(*this);
  MappingIndex regions = RegionsOf(memory);
  const auto region = regions.FindContaining(first);
  if (!region) return;
  const bool is_last = region->owner == 1;
  const bool is_mapped = borrows || region->extra != 0;
  if (is_last && !is_mapped && region->flags != kLeftBehind) {
    const uint64_t bytes = region->last - region->first + 1;
    regions.Erase(first);
    arena_.Get(memory)->locked_bytes -= bytes;
    processes_.UnlockMemory(arena_.Get(memory)->process, bytes);
    return;
  }
  regions.Update(first, [&](Mapping& updated) {
    --updated.owner;
    if (borrows) ++updated.extra;
    if (is_last && is_mapped) updated.flags = kLeftBehind;
  });
}

std::optional<MemoryRange> RegisteredMemory::Borrow(ArenaRef<ProcessMemory> memory,
                                                    uint64_t address, uint64_t size) {
  Lock lock(*this);
  MappingIndex regions = RegionsOf(memory);
  const auto region = regions.FindContaining(address);
  if (!region || region->last - address < size - 1) return std::nullopt;
  regions.Update(region->first, [](Mapping& updated) { ++updated.extra; });
  return MemoryRange{region->first, region->last};
}

void RegisteredMemory::Return(ArenaRef<ProcessMemory> memory, uint64_t first) {
  Lock lock(*this);
  RegionsOf(memory).Update(first, [](Mapping& updated) { --updated.extra; });
}

}  // namespace ppc
