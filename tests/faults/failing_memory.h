// Lets allocations of the preload library in libc fail. A program that is linked with this has
// malloc(), calloc(), realloc() and pthread_create() of its own, which stand in front of libc's for
// the library as well; they fail for nobody else.
#ifndef TESTS_FAULTS_FAILING_MEMORY_H_
#define TESTS_FAULTS_FAILING_MEMORY_H_

#include <cstdint>

namespace tests {

// Has the library's call `nth` from now on fail, counted from 1, with ENOMEM (EAGAIN for a thread,
// as libc has it). 0: none.
void FailLibraryAllocation(uint64_t nth);

// Whether the one that was to fail has come.
bool HasLibraryAllocationFailed();

}  // namespace tests

#endif  // TESTS_FAULTS_FAILING_MEMORY_H_
