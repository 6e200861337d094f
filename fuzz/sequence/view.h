// The whole state of a host, as the reference and the product each have it.
#ifndef FUZZ_SEQUENCE_VIEW_H_
#define FUZZ_SEQUENCE_VIEW_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "fuzz/sequence/product.h"
#include "fuzz/sequence/reference.h"

namespace fuzz::sequence {

// One thing that both know: of a container, of a group, of registered memory.
struct Fact {
  const char* what;
  std::array<uint64_t, 4> values;

  bool operator==(const Fact& other) const = default;
};
using Facts = std::vector<Fact>;

// Everything: of each name that stands for a container, and of each group's container, the type,
// the groups, the mappings, the windows and where these lead; the groups; the registered memory.
// Both have the same facts in the same order.
Facts FactsOf(Product& product);
Facts FactsOf(const Reference& reference);

// What the product keeps beside that, for comparison with itself: what is locked, what was mapped.
std::vector<uint64_t> CountersOf(Product& product);

// A line for each fact of the one that the other does not have.
std::string Difference(const Facts& expected, const Facts& actual);

// Asks the product where IOVAs lead that the reference knows of: the ends of what is mapped, and
// what lies beside them. Returns what is wrong, or nothing.
std::string CheckTranslations(Product& product, const Reference& reference);

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_VIEW_H_
