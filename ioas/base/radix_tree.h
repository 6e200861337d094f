// A sparse array of leaves in an arena, which is allocated where it is used: the form of page
// tables and of bitmaps beside them.
//
// Nodes are linked when they are ready and freed when they are not linked any more, children before
// their parents, so that a process that dies in the middle leaves a tree that can be used. It takes
// no lock of its own.
#ifndef IOAS_BASE_RADIX_TREE_H_
#define IOAS_BASE_RADIX_TREE_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "ioas/base/arena.h"

namespace ioas {

// A view: an arena, the arena unit of the topmost node (0: nothing is there), and how many levels
// of branches lie above the leaves. A leaf has 1 << kLeafBits elements and begins as zeros, a
// branch 1 << kBranchBits children. The caller gives `height` as HeightFor said it.
template <typename Leaf, uint32_t kLeafBits, uint32_t kBranchBits>
class RadixTree {
 public:
  static constexpr uint64_t kLeafWidth = uint64_t{1} << kLeafBits;

  RadixTree(Arena arena, uint32_t& root, uint32_t height)
      : arena_(arena), root_(root), height_(height) {}

  // The height of a tree whose last element is number `last`.
  static constexpr uint32_t HeightFor(uint64_t last) {
    uint32_t height = 0;
    for (uint64_t rest = last >> kLeafBits; rest != 0; rest >>= kBranchBits) ++height;
    return height;
  }

  // The leaf of element `index`, or null; `*reach` is then how many elements from there on lack
  // one, too, at least 1.
  Leaf* Find(uint64_t index, uint64_t* reach) const {
    uint32_t unit = Load(root_);
    if (unit == 0) *reach = UINT64_MAX - index;
    for (uint32_t height = height_; height > 0 && unit != 0; --height) {
      unit = Load(BranchAt(unit).child[ChildOf(index, height)]);
      if (unit == 0) *reach = Span(height) - (index & (Span(height) - 1));
    }
    return unit != 0 ? LeafAt(unit) : nullptr;
  }

  // The leaf of element `index`, which is made if need be. Null if the arena is full.
  Leaf* FindOrMake(uint64_t index) {
    uint32_t* link = &root_;
    for (uint32_t height = height_;; --height) {
      uint32_t unit = Load(*link);
      if (unit == 0) {
        const Result<uint32_t> made = arena_.Allocate(SizeAt(height));
        if (!made.ok()) return nullptr;
        unit = *made;
        Store(*link, unit);
      }
      if (height == 0) return LeafAt(unit);
      link = &BranchAt(unit).child[ChildOf(index, height)];
    }
  }

  // Frees the leaves that have elements from `first` to `last` and of which is_kept(first element,
  // last element) is false, and the branches that have no leaves then.
  template <typename IsKept>
  void Free(uint64_t first, uint64_t last, IsKept is_kept) {
    FreeBelow(root_, height_, 0, {first, last}, is_kept);
  }

 private:
  struct Branch {
    uint32_t child[uint32_t{1} << kBranchBits];  // arena units
  };
  struct Elements {
    uint64_t first;
    uint64_t last;
  };

  // How many elements lie below one child of a branch of `height`, which is at least 1.
  static constexpr uint32_t Shift(uint32_t height) {
    return kLeafBits + (height - 1) * kBranchBits;
  }
  static constexpr uint64_t Span(uint32_t height) { return uint64_t{1} << Shift(height); }
  static constexpr uint64_t ChildOf(uint64_t index, uint32_t height) {
    return index >> Shift(height) & ((uint64_t{1} << kBranchBits) - 1);
  }
  static constexpr size_t SizeAt(uint32_t height) {
    return height > 0 ? sizeof(Branch) : sizeof(Leaf);
  }
  static uint32_t Load(const uint32_t& link) {
    return std::atomic_ref(const_cast<uint32_t&>(link)).load(std::memory_order_acquire);
  }
  static void Store(uint32_t& link, uint32_t unit) {
    std::atomic_ref(link).store(unit, std::memory_order_release);
  }
  Branch& BranchAt(uint32_t unit) const { return *arena_.Get(ArenaRef<Branch>{unit}); }
  Leaf* LeafAt(uint32_t unit) const { return arena_.Get(ArenaRef<Leaf>{unit}); }

  // What lies below `link`, of `height`, whose first element is `first`.
  template <typename IsKept>
  void FreeBelow(uint32_t& link, uint32_t height, uint64_t first, const Elements& elements,
                 const IsKept& is_kept) {
    const uint32_t unit = Load(link);
    if (unit == 0) return;
    if (height > 0) {
      FreeChildren(BranchAt(unit), height, first, elements, is_kept);
      const auto& children = BranchAt(unit).child;
      if (std::ranges::any_of(children, [](uint32_t child) { return child != 0; })) return;
    } else if (is_kept(first, first + (kLeafWidth - 1))) {
      return;
    }
    Store(link, 0);
    arena_.Free(unit, SizeAt(height));
  }

  template <typename IsKept>
  void FreeChildren(Branch& branch, uint32_t height, uint64_t first, const Elements& elements,
                    const IsKept& is_kept) {
    const uint32_t shift = Shift(height);
    const uint64_t begin = elements.first > first ? (elements.first - first) >> shift : 0;
    const uint64_t end =
        std::min(((elements.last - first) >> shift) + 1, uint64_t{1} << kBranchBits);
    for (uint64_t i = begin; i < end; ++i) {
      FreeBelow(branch.child[i], height - 1, first + (i << shift), elements, is_kept);
    }
  }

  Arena arena_;
  uint32_t& root_;
  uint32_t height_;
};

}  // namespace ioas

#endif  // IOAS_BASE_RADIX_TREE_H_
