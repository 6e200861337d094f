#include "ioas/base/testing/failing_arena.h"

#include "ioas/base/arena.h"

namespace ioas {
namespace {

ArenaFailure own;
std::atomic<ArenaFailure*> current{&own};

bool IsToFail(ArenaFailure& failure) {
  uint32_t left = failure.left;
  while (left != 0 && !failure.left.compare_exchange_weak(left, left - 1)) {
  }
  return left == 1;
}

}  // namespace

// What the linker makes of Arena::Allocate with --wrap, and where that is now. Member functions
// take `this` like a first argument.
Result<uint32_t> OriginalAllocate(Arena* arena, size_t bytes,
                                  size_t alignment) __asm__("__real__ZN4ioas5Arena8AllocateEmm");
Result<uint32_t> FailingAllocate(Arena* arena, size_t bytes,
                                 size_t alignment) __asm__("__wrap__ZN4ioas5Arena8AllocateEmm");

Result<uint32_t> FailingAllocate(Arena* arena, size_t bytes, size_t alignment) {
  ArenaFailure& failure = *current.load();
  if (!IsToFail(failure)) return OriginalAllocate(arena, bytes, alignment);
  ++failure.failed;
  return Error{ENOMEM, "a test wants the arena to be full"};
}

void FailArenaAllocation(uint32_t nth) {
  own.failed = 0;
  own.left = nth;
}

bool HasArenaAllocationFailed() { return own.failed != 0; }

void FailArenasAs(ArenaFailure* failure) { current = failure; }

}  // namespace ioas
