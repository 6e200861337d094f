#include <cstddef>
#include <cstdint>

#include "fuzz/sequence/sequence.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::sequence::RunSequence(fuzz::sequence::Kind::kSpapr, {data, size});
  return 0;
}
