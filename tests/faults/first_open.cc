// A program whose first call is the open of a container, with the library's allocation $1 failing.
// Its exit status is a FaultOutcome.
#include <cstdlib>

#include "tests/faults/fault_outcome.h"
#include "tests/support/vfio_client.h"

int main(int argc, char** argv) {
  const uint64_t nth = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
  return tests::TryWithFault(nth, [] { return tests::OpenContainer().Release() >= 0; });
}
