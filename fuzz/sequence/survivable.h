// Sequences for real kernels, which have one group with one device and do not survive everything.
#ifndef FUZZ_SEQUENCE_SURVIVABLE_H_
#define FUZZ_SEQUENCE_SURVIVABLE_H_

#include <span>
#include <vector>

#include "fuzz/sequence/step.h"

namespace fuzz::sequence {

// The steps of `steps` that a machine with one group and one device can be asked, whose answers are
// certain and of which nothing is known to damage the kernel; other groups and devices become the
// first. Left out is what vconf has no words for, and:
// - what lies behind a variable's memory, but for the first page there: nobody knows what it is;
// - calls that mean another one on the container's type, for a structure of another size;
// - of SPAPR: accesses that start in a window and run past its end, which the kernel does not
// check;
//   windows that the machine may not have the memory for; maps of pages larger than the memory's;
//   errors that are injected; registrations of which the list is large.
std::vector<Step> Survivable(Kind kind, std::span<const Step> steps);

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_SURVIVABLE_H_
