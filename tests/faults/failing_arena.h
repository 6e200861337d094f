// Lets allocations in arenas fail. A test that depends on this is linked with
// its linkopts (BUILD.bazel, and linkstatic): every call of ioas::Arena::Allocate then comes by
// here.
#ifndef TESTS_FAULTS_FAILING_ARENA_H_
#define TESTS_FAULTS_FAILING_ARENA_H_

#include <cstdint>

namespace tests {

// Has allocation `nth` from now on fail, counted from 1, as a full arena does. 0: none.
void FailArenaAllocation(uint64_t nth);

// Whether the one that was to fail has come.
bool HasArenaAllocationFailed();

}  // namespace tests

#endif  // TESTS_FAULTS_FAILING_ARENA_H_
