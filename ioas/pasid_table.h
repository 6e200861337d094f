// Something for each PASID that has something, in the arena. Whoever dies in the middle of a change
// leaves a table that holds what it held before or after it.
#ifndef IOAS_PASID_TABLE_H_
#define IOAS_PASID_TABLE_H_

#include <algorithm>
#include <cstdint>

#include "ioas/base/arena.h"
#include "ioas/base/number_range.h"
#include "ioas/base/radix_tree.h"
#include "ioas/base/result.h"

namespace ioas {

// A PASID has at most this many bits (PCI Express, "PASID Extended Capability Structure").
inline constexpr uint32_t kMaxPasidBits = 20;
inline constexpr uint32_t kPasids = 1u << kMaxPasidBits;

// A table as it lies in the arena. All zero it is empty.
template <typename Value>
struct PasidTableState {
  uint32_t root;  // arena unit
};

// A view on a table: an arena and a pointer. It takes no lock. A Value that equals Value() is
// nothing, and all zero in memory is one of those.
template <typename Value>
class PasidTable {
 public:
  PasidTable(Arena arena, PasidTableState<Value>* state) : arena_(arena), state_(state) {}

  // What `pasid` has: nothing, for one that no device can have.
  Value Get(uint32_t pasid) const {
    uint64_t reach = 0;
    const Leaf* const leaf = pasid < kPasids ? tree().Find(pasid, &reach) : nullptr;
    return leaf != nullptr ? leaf->values[pasid % kPerLeaf] : Value();
  }

  // Gives `pasid`, below kPasids, `value` in place of what it has. ENOMEM, if it had nothing.
  Status Set(uint32_t pasid, const Value& value) {
    Leaf* const leaf = tree().FindOrMake(pasid);
    if (leaf == nullptr) {
      Trim(pasid);
      return Error{ENOMEM, "no room for a PASID"};
    }
    leaf->values[pasid % kPerLeaf] = value;
    return {};
  }

  // Takes away what `pasid`, below kPasids, has, and frees the memory that it needed.
  void Remove(uint32_t pasid) {
    uint64_t reach = 0;
    Leaf* const leaf = tree().Find(pasid, &reach);
    if (leaf == nullptr) return;
    leaf->values[pasid % kPerLeaf] = Value();
    Trim(pasid);
  }

  // Takes all away, and frees the memory.
  void Clear() {
    tree().Free(0, kPasids - 1, [](uint64_t, uint64_t) { return false; });
  }

  bool empty() const { return Next(0) == kPasids; }

  // The lowest PASID from `pasid` on that has something; kPasids if none does.
  uint32_t Next(uint32_t pasid) const {
    while (pasid < kPasids) {
      uint64_t reach = 0;
      const Leaf* const leaf = tree().Find(pasid, &reach);
      if (leaf == nullptr) {
        pasid += static_cast<uint32_t>(std::min<uint64_t>(reach, kPasids - pasid));
      } else if (leaf->values[pasid % kPerLeaf] == Value()) {
        ++pasid;
      } else {
        return pasid;
      }
    }
    return kPasids;
  }
  // All PASIDs that have something.
  NumberRange<PasidTable> pasids() const { return {*this, 0, kPasids}; }

 private:
  // Three levels.
  static constexpr uint32_t kBits = 7;
  static constexpr uint32_t kPerLeaf = 1u << kBits;
  struct Leaf {
    Value values[kPerLeaf];
  };
  using Tree = RadixTree<Leaf, kBits, kBits>;

  Tree tree() const { return Tree(arena_, state_->root, Tree::HeightFor(kPasids - 1)); }
  // Frees what is there for `pasid` and others near it, if none of them has anything.
  void Trim(uint32_t pasid) {
    tree().Free(pasid, pasid, [this](uint64_t first, uint64_t last) {
      return Next(static_cast<uint32_t>(first)) <= last;
    });
  }

  Arena arena_;
  PasidTableState<Value>* state_;
};

}  // namespace ioas

#endif  // IOAS_PASID_TABLE_H_
