// The inside of an arena: its header and its allocator. For arena.cc alone.
#ifndef IOAS_BASE_ARENA_HEAP_H_
#define IOAS_BASE_ARENA_HEAP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ioas/base/arena.h"
#include "ioas/base/robust_mutex.h"

namespace ioas {

inline constexpr uint32_t kArenaPageUnits = kArenaPage / kArenaUnit;

constexpr size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// The magic comes last when the arena is made: without it the file is not one yet.
struct ArenaHeader {
  std::atomic<uint64_t> magic;
  uint32_t version;
  std::atomic<uint32_t> root;
  std::atomic<uint64_t> bytes_in_use;
  // All in units from the arena's start. At most `limit` can be committed; what is `committed` is
  // memory; what lies below `fresh` has been handed out before.
  uint32_t limit;
  uint32_t committed;
  std::atomic<uint32_t> fresh;
  uint32_t free_runs;  // blocks of whole pages, ordered by address, never adjacent
  uint32_t free_small[kArenaPageUnits];  // by length in units; [0] is not used
  RobustMutex mutex;
};

static_assert(sizeof(ArenaHeader) <= kArenaPage);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// Makes the first `to` bytes of the file memory, of which `from` are already. Returns 0 or a
// negated errno: EFBIG where RLIMIT_FSIZE is too low, and never the signal that goes with it.
long GrowFile(int fd, size_t from, size_t to);

// What lies at the start of a block that is free.
struct FreeBlock {
  uint32_t next;   // the next block of its list; 0: none
  uint32_t units;  // how long it is; only for runs of pages
};

// The allocator. Its caller holds the header's mutex. Each change of a list is one store, so that
// the death of the process between two of them loses the block in hand and nothing else.
class ArenaHeap {
 public:
  ArenaHeap(std::byte* base, int fd)
      : base_(base), fd_(fd), header_(reinterpret_cast<ArenaHeader*>(base)) {}

  // Each returns the first unit of `units`, or 0 if there is no room. `recycled` says whether the
  // memory holds old contents.
  uint32_t TakeSmall(uint32_t units, bool& recycled);
  uint32_t TakePages(uint32_t units, bool& recycled);

  void FreeSmall(uint32_t unit, uint32_t units);
  void FreePages(uint32_t unit, uint32_t units);

 private:
  FreeBlock* Block(uint32_t unit) const {
    return reinterpret_cast<FreeBlock*>(base_ + size_t{unit} * kArenaUnit);
  }
  bool Commit(size_t end_unit);
  uint32_t TakeFresh(uint32_t units, uint32_t alignment_units);
  uint32_t TakeRun(uint32_t units);
  uint32_t SplitLargerBlock(uint32_t units);

  std::byte* base_;
  int fd_;
  ArenaHeader* header_;
};

}  // namespace ioas

#endif  // IOAS_BASE_ARENA_HEAP_H_
