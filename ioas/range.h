// Ranges of I/O virtual addresses.
#ifndef IOAS_RANGE_H_
#define IOAS_RANGE_H_

#include <cstdint>

namespace ioas {

// The addresses from `first` to `last`, both of them included: all of a 64-bit space is {0, ~0}.
struct IovaRange {
  uint64_t first;
  uint64_t last;

  constexpr bool Contains(uint64_t iova) const { return first <= iova && iova <= last; }
  constexpr bool Contains(const IovaRange& other) const {
    return first <= other.first && other.last <= last;
  }
  constexpr bool Overlaps(const IovaRange& other) const {
    return first <= other.last && other.first <= last;
  }
  constexpr bool operator==(const IovaRange&) const = default;
};

}  // namespace ioas

#endif  // IOAS_RANGE_H_
