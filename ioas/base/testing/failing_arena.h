// Lets allocations in arenas fail. What depends on this is linked with its linkopts (BUILD.bazel;
// tests need linkstatic): every call of ioas::Arena::Allocate then comes by here.
#ifndef IOAS_BASE_TESTING_FAILING_ARENA_H_
#define IOAS_BASE_TESTING_FAILING_ARENA_H_

#include <atomic>
#include <cstdint>

namespace ioas {

// What allocation fails. May lie in memory that another program sees.
struct ArenaFailure {
  std::atomic<uint32_t> left;    // allocations until one fails, that one included; 0: none does
  std::atomic<uint32_t> failed;  // how many have
};

// Has allocation `nth` from now on fail, counted from 1, as a full arena does. 0: none.
void FailArenaAllocation(uint32_t nth);

// Whether the one that was to fail has come.
bool HasArenaAllocationFailed();

// From now on `failure`, which stays, says what fails.
void FailArenasAs(ArenaFailure* failure);

}  // namespace ioas

#endif  // IOAS_BASE_TESTING_FAILING_ARENA_H_
