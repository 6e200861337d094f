// Makes the steps of an input on a host and on the reference, and ends the process with a report
// where they disagree.
#ifndef FUZZ_SEQUENCE_SEQUENCE_H_
#define FUZZ_SEQUENCE_SEQUENCE_H_

#include <cstdint>
#include <span>

#include "fuzz/sequence/step.h"

namespace fuzz::sequence {

// Makes all steps of `input`. Aborts, with the script so far, at the first answer or state that is
// not the reference's.
void RunSequence(Kind kind, std::span<const uint8_t> input);

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_SEQUENCE_H_
