// The nodes of a MappingIndex: how they lie in memory, how they are searched, and how entries move
// within and between them. What a tree of them means is mapping_index.cc's part.
//
// Searches compare a fixed number of keys, with no branch that depends on one: a mispredicted
// branch costs more than all comparisons of a node. Keys that are not used are UINT64_MAX.
#ifndef IOAS_MAPPING_INDEX_NODE_H_
#define IOAS_MAPPING_INDEX_NODE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ioas {

inline constexpr size_t kCacheLine = 64;
inline constexpr uint64_t kUnusedKey = UINT64_MAX;

// Begins to read lines of a node into the cache. Always inline: GCC takes a function that does
// nothing but prefetch for one that does nothing, and leaves out the call.
template <size_t... kLine>
[[gnu::always_inline]] inline void PrefetchLines(const void* node, std::index_sequence<kLine...>) {
  (__builtin_prefetch(static_cast<const std::byte*>(node) + kLine * kCacheLine), ...);
}

// Up to 127 nodes one level below, by their arena units. The key of each says where its part of the
// IOVA space begins. Entries lie in the order of their keys.
//
// Keys lie apart from values, so that a search reads few cache lines. The count and the keys
// together fill whole cache lines.
struct alignas(kCacheLine) MappingBranch {
  static constexpr size_t kCapacity = 127;
  static constexpr size_t kLineKeys = kCacheLine / sizeof(uint64_t);
  static constexpr size_t kLines = (kCapacity + kLineKeys) / kLineKeys;  // the count comes first
  static constexpr size_t kKeySlots = kLines * kLineKeys - 1;

  uint64_t used;  // how many entries there are
  uint64_t key[kKeySlots];
  uint32_t value[kCapacity];

  // Makes zeroed memory an empty node.
  void Initialize() { std::fill_n(key, kKeySlots, kUnusedKey); }

  size_t count() const { return used; }
  bool full() const { return used == kCapacity; }
  uint64_t lower_bound() const { return key[0]; }

  // How many keys are at most `wanted`. First a group of four lines is found, then the line, by the
  // keys that begin them, and then the place in it.
  size_t CountUpTo(uint64_t wanted) const {
    constexpr size_t kGroupLines = 4;
    constexpr size_t kGroupKeys = kGroupLines * kLineKeys;
    constexpr size_t kFurtherGroups = (kLines - 1) / kGroupLines;
    size_t found =
        kGroupKeys * CountSteps<kGroupKeys>(0, wanted, std::make_index_sequence<kFurtherGroups>());
    found += kLineKeys *
             CountSteps<kLineKeys>(found, wanted, std::make_index_sequence<kGroupLines - 1>());
    found += CountSteps<1>(found, wanted, std::make_index_sequence<kLineKeys - 1>());
    return std::min<size_t>(found, used);
  }

  // Begins to read the keys into the cache.
  [[gnu::always_inline]] void PrefetchKeys() const {
    PrefetchLines(this, std::make_index_sequence<kLines>());
  }

  void InsertAt(size_t position, uint64_t new_key, uint32_t new_value) {
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
  static void Distribute(MappingBranch& left, MappingBranch& right, size_t left_count) {
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

  // Whether the keys ascend, begin at `first` or above, and do not exceed `last`.
  bool KeysAreInOrder(uint64_t first, uint64_t last) const {
    if (used == 0 || used > kCapacity) return false;
    if (key[0] < first || key[used - 1] > last) return false;
    for (size_t i = 1; i < used; ++i) {
      if (key[i] <= key[i - 1]) return false;
    }
    return std::all_of(key + used, key + kKeySlots, [](uint64_t k) { return k == kUnusedKey; });
  }

 private:
  // How many are at most `wanted` of the keys with which a step of kStep keys ends, the first step
  // beginning at `start`. A fold writes it out, where the compiler would leave a loop as one.
  template <size_t kStep, size_t... kIndex>
  [[gnu::always_inline]] size_t CountSteps(size_t start, uint64_t wanted,
                                           std::index_sequence<kIndex...>) const {
    return (size_t{0} + ... + size_t{key[start + kStep * (kIndex + 1) - 1] <= wanted});
  }
};

// The order of up to 14 entries, each of which stays in its place in a node while others come and
// go: their places in the order of their keys, four bits each, and then the places that are free.
class EntryOrder {
 public:
  static constexpr size_t kCount = 14;
  static constexpr size_t kBitCount = 56;
  // Of an empty node.
  static constexpr uint64_t kInitial = 0xdcba9876543210;

  // `bits` has kBitCount bits.
  explicit constexpr EntryOrder(uint64_t bits) : bits_(bits) {}

  uint64_t bits() const { return bits_; }
  size_t operator[](size_t position) const { return bits_ >> (kBits * position) & kMask; }

  // Moves the place at `from` to `to`, which is not above; those between move up by one.
  void MoveDown(size_t from, size_t to) {
    const uint64_t moved = (*this)[from];
    const uint64_t between = (Below(from) & ~Below(to)) & bits_;
    bits_ = (bits_ & (Below(to) | ~Below(from + 1))) | between << kBits | moved << (kBits * to);
  }
  // Moves the place at `from` to `to`, which is not below; those between move down by one.
  void MoveUp(size_t from, size_t to) {
    const uint64_t moved = (*this)[from];
    const uint64_t between = (Below(to + 1) & ~Below(from + 1)) & bits_;
    bits_ = (bits_ & (Below(from) | ~Below(to + 1))) | between >> kBits | moved << (kBits * to);
  }

  // Whether all places are there.
  bool IsComplete() const {
    uint64_t seen = 0;
    for (size_t i = 0; i < kCount; ++i) seen |= uint64_t{1} << (*this)[i];
    return seen == (uint64_t{1} << kCount) - 1 && bits_ >> (kBits * kCount) == 0;
  }

 private:
  static constexpr size_t kBits = 4;
  static constexpr uint64_t kMask = (1 << kBits) - 1;

  // The bits of all places before `position`, at most kCount.
  static uint64_t Below(size_t position) { return (uint64_t{1} << (kBits * position)) - 1; }

  uint64_t bits_;
};

// What a leaf holds of a mapping apart from where it begins.
struct alignas(32) MappingRecord {
  uint64_t last;
  uint64_t user_address;
  uint32_t owner;
  uint32_t flags;
  uint32_t extra;
};

// Up to 14 mappings. An entry stays in its place, and `head` says which order their keys have (as
// the permutations of Mao, Kohler, Morris: Cache Craftiness for Fast Multicore Key-Value Storage,
// 2012): so one that comes or goes moves none of the others. `position` counts in that order.
struct alignas(kCacheLine) MappingLeaf {
  static constexpr size_t kCapacity = EntryOrder::kCount;

  uint64_t head;  // how many there are, in 8 bits, and above them their EntryOrder
  uint64_t keys[kCapacity + 1];
  MappingRecord records[kCapacity];

  // Makes zeroed memory an empty leaf.
  void Initialize() {
    std::fill_n(keys, kCapacity + 1, kUnusedKey);
    SetHead(0, EntryOrder(EntryOrder::kInitial));
  }

  size_t count() const { return head & kCountMask; }
  bool full() const { return count() == kCapacity; }
  uint64_t lower_bound() const { return key(0); }
  uint64_t key(size_t position) const { return keys[order()[position]]; }
  MappingRecord& record(size_t position) { return records[order()[position]]; }
  const MappingRecord& record(size_t position) const { return records[order()[position]]; }

  // How many keys are at most `wanted`.
  size_t CountUpTo(uint64_t wanted) const {
    if (wanted == kUnusedKey) [[unlikely]]
      return count();
    constexpr size_t kHalf = kCapacity / 2;
    // Two sums that do not wait for each other.
    const size_t lower = CountKeys<0>(wanted, std::make_index_sequence<kHalf>());
    const size_t upper = CountKeys<kHalf>(wanted, std::make_index_sequence<kCapacity - kHalf>());
    return lower + upper;
  }

  // Begins to read all of it into the cache.
  [[gnu::always_inline]] void Prefetch() const {
    PrefetchLines(this, std::make_index_sequence<sizeof(MappingLeaf) / kCacheLine>());
  }

  void InsertAt(size_t position, uint64_t new_key, const MappingRecord& new_record) {
    EntryOrder changed = order();
    const size_t place = changed[count()];
    keys[place] = new_key;
    records[place] = new_record;
    changed.MoveDown(count(), position);
    SetHead(count() + 1, changed);
  }

  void RemoveAt(size_t position) {
    if (position >= count()) return;  // no such entry
    EntryOrder changed = order();
    keys[changed[position]] = kUnusedKey;
    changed.MoveUp(position, count() - 1);
    SetHead(count() - 1, changed);
  }

  // Moves entries between two neighbours, so that the lower `left_count` of them are in `left`.
  static void Distribute(MappingLeaf& left, MappingLeaf& right, size_t left_count) {
    while (left.count() < left_count) {
      left.InsertAt(left.count(), right.key(0), right.record(0));
      right.RemoveAt(0);
    }
    while (left.count() > left_count) {
      const size_t highest = left.count() - 1;
      right.InsertAt(0, left.key(highest), left.record(highest));
      left.RemoveAt(highest);
    }
  }

  // Whether it is as Initialize leaves it, but for records and the order of the free places.
  bool IsEmpty() const { return count() == 0 && UnusedKeysAreRight(); }

  // Whether the keys ascend, begin at `first` or above, and do not exceed `last`. What lies in it
  // may be anything.
  bool KeysAreInOrder(uint64_t first, uint64_t last) const {
    if (count() == 0 || count() > kCapacity || !UnusedKeysAreRight()) return false;
    if (key(0) < first || key(count() - 1) > last) return false;
    for (size_t i = 1; i < count(); ++i) {
      if (key(i) <= key(i - 1)) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kCountBits = 8;
  static constexpr uint64_t kCountMask = (1 << kCountBits) - 1;
  static_assert(kCountBits + EntryOrder::kBitCount == 64);

  EntryOrder order() const { return EntryOrder(head >> kCountBits); }
  void SetHead(size_t count, const EntryOrder& order) { head = order.bits() << kCountBits | count; }

  template <size_t kStart, size_t... kIndex>
  [[gnu::always_inline]] size_t CountKeys(uint64_t wanted, std::index_sequence<kIndex...>) const {
    return (size_t{0} + ... + size_t{keys[kStart + kIndex] <= wanted});
  }

  bool UnusedKeysAreRight() const {
    if (!order().IsComplete() || keys[kCapacity] != kUnusedKey) return false;
    for (size_t i = count(); i < kCapacity; ++i) {
      if (key(i) != kUnusedKey) return false;
    }
    return true;
  }
};

// More levels than the largest arena has room for, were all nodes as empty as they can be.
inline constexpr size_t kMaxMappingHeight = 10;

static_assert(sizeof(MappingLeaf) == 9 * kCacheLine);
static_assert(sizeof(MappingBranch) == 24 * kCacheLine);

}  // namespace ioas

#endif  // IOAS_MAPPING_INDEX_NODE_H_
