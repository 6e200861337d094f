#include "tests/faults/failing_arena.h"

#include <atomic>

#include "ioas/base/arena.h"

namespace tests {
namespace {

std::atomic<uint64_t> left{0};  // allocations until one fails, that one included; 0: none does
std::atomic<bool> has_failed{false};

}  // namespace

// What the linker makes of ioas::Arena::Allocate with --wrap, and where that is now. Member
// functions take `this` like a first argument.
ioas::Result<uint32_t> OriginalAllocate(ioas::Arena* arena, size_t bytes, size_t alignment) __asm__(
    "__real__ZN4ioas5Arena8AllocateEmm");
ioas::Result<uint32_t> FailingAllocate(ioas::Arena* arena, size_t bytes, size_t alignment) __asm__(
    "__wrap__ZN4ioas5Arena8AllocateEmm");

ioas::Result<uint32_t> FailingAllocate(ioas::Arena* arena, size_t bytes, size_t alignment) {
  if (left.load() != 0 && left.fetch_sub(1) == 1) {
    has_failed = true;
    return ioas::Error{ENOMEM, "a test wants the arena to be full"};
  }
  return OriginalAllocate(arena, bytes, alignment);
}

void FailArenaAllocation(uint64_t nth) {
  has_failed = false;
  left = nth;
}

bool HasArenaAllocationFailed() { return has_failed; }

}  // namespace tests
