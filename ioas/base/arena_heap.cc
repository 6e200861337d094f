#include "ioas/base/arena_heap.h"

#include <sys/resource.h>

#include <algorithm>

#include "ioas/base/system_call.h"

namespace ioas {
namespace {

constexpr size_t kMebi = size_t{1} << 20;
constexpr size_t kSmallestStep = kMebi;
constexpr size_t kLargestStep = 16 * kMebi;

}  // namespace

long GrowFile(int fd, size_t from, size_t to) {
  // Exceeding the limit would raise SIGXFSZ, so it is looked at first.
  struct rlimit limit;
  const long status = SystemCall(SYS_prlimit64, 0, RLIMIT_FSIZE, nullptr, &limit);
  if (status == 0 && to > limit.rlim_cur) return -EFBIG;
  long result;
  do {
    result = SystemCall(SYS_fallocate, fd, 0, from, to - from);
  } while (result == -EINTR);
  return result;
}

// Sees to it that everything below `end_unit` is memory.
bool ArenaHeap::Commit(size_t end_unit) {
  if (end_unit <= header_->committed) return true;
  if (end_unit > header_->limit) return false;
  const size_t committed = size_t{header_->committed} * kArenaUnit;
  const size_t step = std::clamp(committed / 4 / kMebi * kMebi, kSmallestStep, kLargestStep);
  const size_t needed = RoundUp(end_unit * kArenaUnit, kArenaPage);
  const size_t wanted =
      std::min(std::max(needed, committed + step), size_t{header_->limit} * kArenaUnit);
  for (const size_t target : {wanted, needed}) {
    if (GrowFile(fd_, committed, target) != 0) continue;
    header_->committed = static_cast<uint32_t>(target / kArenaUnit);
    return true;
  }
  return false;
}

uint32_t ArenaHeap::TakeFresh(uint32_t units, uint32_t alignment_units) {
  const uint32_t fresh = header_->fresh;
  const size_t start = RoundUp(fresh, alignment_units);
  if (!Commit(start + units)) return 0;
  header_->fresh = static_cast<uint32_t>(start + units);
  if (start != fresh) FreeSmall(fresh, static_cast<uint32_t>(start) - fresh);
  return static_cast<uint32_t>(start);
}

uint32_t ArenaHeap::TakeSmall(uint32_t units, bool& recycled) {
  uint32_t& list = header_->free_small[units];
  recycled = true;
  if (const uint32_t unit = list; unit != 0) {
    list = Block(unit)->next;
    return unit;
  }
  if (const uint32_t unit = TakeFresh(units, 1); unit != 0) {
    recycled = false;
    return unit;
  }
  return SplitLargerBlock(units);
}

// The last resort of TakeSmall: larger blocks are worth more whole while there is other room.
uint32_t ArenaHeap::SplitLargerBlock(uint32_t units) {
  for (uint32_t larger = units + 1; larger < kArenaPageUnits; ++larger) {
    const uint32_t unit = header_->free_small[larger];
    if (unit == 0) continue;
    header_->free_small[larger] = Block(unit)->next;
    FreeSmall(unit + units, larger - units);
    return unit;
  }
  const uint32_t page = TakeRun(kArenaPageUnits);
  if (page != 0) FreeSmall(page + units, kArenaPageUnits - units);
  return page;
}

uint32_t ArenaHeap::TakePages(uint32_t units, bool& recycled) {
  const uint32_t unit = TakeRun(units);
  recycled = unit != 0;
  return recycled ? unit : TakeFresh(units, kArenaPageUnits);
}

// Takes the end of the first run that is long enough, so that what is left stays where it is.
uint32_t ArenaHeap::TakeRun(uint32_t units) {
  uint32_t* link = &header_->free_runs;
  while (*link != 0 && Block(*link)->units < units) link = &Block(*link)->next;
  const uint32_t unit = *link;
  if (unit == 0) return 0;
  if (Block(unit)->units == units) {
    *link = Block(unit)->next;
    return unit;
  }
  Block(unit)->units -= units;
  return unit + Block(unit)->units;
}

void ArenaHeap::FreeSmall(uint32_t unit, uint32_t units) {
  Block(unit)->next = header_->free_small[units];
  std::atomic_signal_fence(std::memory_order_seq_cst);
  header_->free_small[units] = unit;
}

void ArenaHeap::FreePages(uint32_t unit, uint32_t units) {
  uint32_t* link = &header_->free_runs;
  uint32_t before = 0;
  while (*link != 0 && *link < unit) {
    before = *link;
    link = &Block(before)->next;
  }
  uint32_t next = *link;
  if (next == unit + units) {
    const uint32_t next_units = Block(next)->units;
    next = Block(next)->next;
    *link = next;
    units += next_units;
  }
  if (before != 0 && before + Block(before)->units == unit) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    Block(before)->units += units;
    return;
  }
  *Block(unit) = {.next = next, .units = units};
  std::atomic_signal_fence(std::memory_order_seq_cst);
  *link = unit;
}

}  // namespace ioas
