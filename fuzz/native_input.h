// What the target `native_iommufd` makes of an input: addresses and lengths.
#ifndef FUZZ_NATIVE_INPUT_H_
#define FUZZ_NATIVE_INPUT_H_

#include <cstdint>
#include <iterator>

#include "fuzz/input.h"
#include "fuzz/native_reference.h"

namespace fuzz {

// Where things are mapped: mostly low and in whole pages, sometimes at an edge.
inline uint64_t TakeIova(Input& input) {
  constexpr uint64_t kPlaces[] = {0, 0xfee00000, 0x8000000000, UINT64_MAX - kPage + 1, 1 << 20};
  const uint8_t choice = input.Take<uint8_t>();
  if (choice < 240) return uint64_t{choice % 32u} * kPage;
  return kPlaces[choice % std::size(kPlaces)] + input.Take<int8_t>() * uint64_t{kPage / 4};
}

inline uint64_t TakeLength(Input& input) {
  const uint8_t choice = input.Take<uint8_t>();
  if (choice < 240) return (choice % 6 + 1) * kPage;
  return choice < 250 ? choice - 239u : UINT64_MAX - (choice - 250u) / 2 * kPage;
}

}  // namespace fuzz

#endif  // FUZZ_NATIVE_INPUT_H_
