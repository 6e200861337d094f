// The nodes of a MappingIndex: how they lie in memory, how they are searched, and how entries move
// within and between them. What a tree of them means is mapping_index.cc's part.
//
// Searches compare a fixed number of keys, with no branch that depends on one: a mispredicted
// branch costs more than all comparisons of a node.
#ifndef IOAS_MAPPING_INDEX_NODE_H_
#define IOAS_MAPPING_INDEX_NODE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ioas {

inline constexpr size_t kCacheLine = 64;

// Up to `Capacity` entries of a key and a value each, in the order of their keys.
//
// Keys lie apart from values, so that a search reads few cache lines. The count and the keys
// together fill whole cache lines. Keys that are not used are UINT64_MAX.
template <typename Value, size_t Capacity>
struct alignas(kCacheLine) MappingNode {
  static constexpr size_t kCapacity = Capacity;
  static constexpr size_t kLineKeys = kCacheLine / sizeof(uint64_t);
  static constexpr size_t kLines = (Capacity + kLineKeys) / kLineKeys;  // the count comes first
  static constexpr size_t kKeySlots = kLines * kLineKeys - 1;
  static constexpr uint64_t kUnusedKey = UINT64_MAX;

  uint64_t used;  // how many entries there are
  uint64_t key[kKeySlots];
  Value value[Capacity];

  // Makes zeroed memory an empty node.
  void Initialize() { std::fill_n(key, kKeySlots, kUnusedKey); }

  size_t count() const { return used; }
  bool full() const { return used == Capacity; }
  uint64_t lower_bound() const { return key[0]; }

  // How many keys are at most `wanted`. First a group of four lines is found, then the line, by the
  // keys that begin them, and then the place in it.
  size_t CountUpTo(uint64_t wanted) const {
    constexpr size_t kGroupKeys = 4 * kLineKeys;
    constexpr size_t kGroupLines = std::min<size_t>(kLines, 4);
    size_t found = 0;
    if constexpr (kLines > kGroupLines) {
      constexpr size_t kFurtherGroups = (kLines - 1) / kGroupLines;
      found += kGroupKeys *
               CountSteps<kGroupKeys>(0, wanted, std::make_index_sequence<kFurtherGroups>());
    }
    found += kLineKeys *
             CountSteps<kLineKeys>(found, wanted, std::make_index_sequence<kGroupLines - 1>());
    found += CountSteps<1>(found, wanted, std::make_index_sequence<kLineKeys - 1>());
    return std::min<size_t>(found, used);
  }

  // Begin to read the keys, or the whole node, into the cache. Always inline: GCC takes a function
  // that does nothing but prefetch for one that does nothing, and leaves out the call.
  [[gnu::always_inline]] void PrefetchKeys() const {
    PrefetchLines(std::make_index_sequence<kLines>());
  }
  [[gnu::always_inline]] void Prefetch() const {
    PrefetchLines(std::make_index_sequence<sizeof(MappingNode) / kCacheLine>());
  }

  void InsertAt(size_t position, uint64_t new_key, const Value& new_value) {
    for (size_t i = used; i > position; --i) {
      key[i] = key[i - 1];
      value[i] = value[i - 1];
    }
    key[position] = new_key;
    value[position] = new_value;
    ++used;
  }

  void RemoveAt(size_t position) {
    --used;
    for (size_t i = position; i < used; ++i) {
      key[i] = key[i + 1];
      value[i] = value[i + 1];
    }
    key[used] = kUnusedKey;
  }

  // Moves entries between two neighbours, so that the lower `left_count` of them are in `left`.
  static void Distribute(MappingNode& left, MappingNode& right, size_t left_count) {
    const size_t right_count = left.used + right.used - left_count;
    if (left.used < left_count) {
      const size_t moved = left_count - left.used;
      std::copy_n(right.key, moved, left.key + left.used);
      std::copy_n(right.value, moved, left.value + left.used);
      std::copy(right.key + moved, right.key + right.used, right.key);
      std::copy(right.value + moved, right.value + right.used, right.value);
      std::fill(right.key + right_count, right.key + right.used, kUnusedKey);
    } else {
      const size_t moved = left.used - left_count;
      std::copy_backward(right.key, right.key + right.used, right.key + right_count);
      std::copy_backward(right.value, right.value + right.used, right.value + right_count);
      std::copy_n(left.key + left_count, moved, right.key);
      std::copy_n(left.value + left_count, moved, right.value);
      std::fill_n(left.key + left_count, moved, kUnusedKey);
    }
    left.used = left_count;
    right.used = right_count;
  }

  // Whether it is as Initialize leaves it, values aside.
  bool IsEmpty() const {
    return used == 0 &&
           std::all_of(key, key + kKeySlots, [](uint64_t k) { return k == kUnusedKey; });
  }

  // Whether the keys ascend, begin at `first` or above, and do not exceed `last`.
  bool KeysAreInOrder(uint64_t first, uint64_t last) const {
    if (used == 0 || used > Capacity) return false;
    if (key[0] < first || key[used - 1] > last) return false;
    for (size_t i = 1; i < used; ++i) {
      if (key[i] <= key[i - 1]) return false;
    }
    return std::all_of(key + used, key + kKeySlots, [](uint64_t k) { return k == kUnusedKey; });
  }

 private:
  // Folds write these out, where the compiler would leave a loop as one.
  template <size_t... kLine>
  [[gnu::always_inline]] void PrefetchLines(std::index_sequence<kLine...>) const {
    (__builtin_prefetch(reinterpret_cast<const std::byte*>(this) + kLine * kCacheLine), ...);
  }

  // How many are at most `wanted` of the keys with which a step of kStep keys ends, the first step
  // beginning at `start`.
  template <size_t kStep, size_t... kIndex>
  [[gnu::always_inline]] size_t CountSteps(size_t start, uint64_t wanted,
                                           std::index_sequence<kIndex...>) const {
    return (size_t{0} + ... + size_t{key[start + kStep * (kIndex + 1) - 1] <= wanted});
  }
};

// What a leaf holds of a mapping apart from where it begins.
struct alignas(32) MappingRecord {
  uint64_t last;
  uint64_t user_address;
  uint32_t owner;
  uint32_t flags;
  uint32_t extra;
};

using MappingLeaf = MappingNode<MappingRecord, 14>;

// The values are the arena units of nodes one level below. The key of each says where its part of
// the IOVA space begins.
using MappingBranch = MappingNode<uint32_t, 127>;

// More levels than the largest arena has room for, were all nodes as empty as they can be.
inline constexpr size_t kMaxMappingHeight = 10;

static_assert(sizeof(MappingLeaf) == 9 * kCacheLine);
static_assert(sizeof(MappingBranch) == 24 * kCacheLine);

}  // namespace ioas

#endif  // IOAS_MAPPING_INDEX_NODE_H_
