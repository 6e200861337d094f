// A call whose Nth allocation fails, and what comes of it.
#ifndef TESTS_FAULTS_FAULT_OUTCOME_H_
#define TESTS_FAULTS_FAULT_OUTCOME_H_

#include <cerrno>
#include <cstdint>

#include "tests/faults/failing_memory.h"
#include "tests/faults/open_descriptors.h"

namespace tests {

// What a process says of a call, as its exit status.
enum FaultOutcome { kPassed = 0, kFailedAndPassed, kWrongErrno, kLeftSomething, kFailedAgain };

// Makes `call`, which returns whether it succeeded, with the library's allocation `nth` failing,
// and if that was the end of it once more. kPassed: there are not as many allocations.
template <typename Call>
FaultOutcome TryWithFault(uint64_t nth, Call call) {
  const int descriptors = OpenDescriptors();
  FailLibraryAllocation(nth);
  const bool succeeded = call();
  const int error = errno;
  const bool has_failed = HasLibraryAllocationFailed();
  FailLibraryAllocation(0);
  // What failed need not have been needed.
  if (succeeded) return has_failed ? kFailedAndPassed : kPassed;
  if (!has_failed || error != ENOMEM) return kWrongErrno;
  if (OpenDescriptors() != descriptors) return kLeftSomething;
  return call() ? kFailedAndPassed : kFailedAgain;
}

}  // namespace tests

#endif  // TESTS_FAULTS_FAULT_OUTCOME_H_
