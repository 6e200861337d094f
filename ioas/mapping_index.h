// The mappings of one address space: an ordered index of ranges of IOVAs that do not overlap.
//
// It is a B+tree whose nodes lie in the shared arena and refer to each other by arena unit, so all
// processes that share the host see the same index; a MappingIndex is a process's view on one. The
// index takes no lock: whoever holds the lock of the address space uses it.
//
// A process may die, holding that lock, in the middle of a change. MappingIndexState says so: from
// then on Validate() is false, and all that is left to do is Clear().
#ifndef IOAS_MAPPING_INDEX_H_
#define IOAS_MAPPING_INDEX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/mapping_index_node.h"
#include "ioas/range.h"

namespace ioas {

// One mapping. The index orders mappings by `first` and keeps them apart; what the fields below
// `last` mean is its user's business.
struct Mapping {
  uint64_t first = 0;  // the IOVAs it covers, both ends included
  uint64_t last = 0;
  uint64_t user_address = 0;  // where `first` leads to
  uint32_t owner = 0;         // whose memory it is
  uint32_t flags = 0;         // permissions and the like
  uint32_t extra = 0;         // an arena unit of the user's

  bool operator==(const Mapping&) const = default;
};

// An index, as it lies in the arena. All zero, as Arena::Allocate gives it out, it is empty and has
// no nodes. Emptied by Erase it keeps a leaf, for the next mapping.
struct MappingIndexState {
  uint64_t size;      // mappings
  uint32_t root;      // arena unit of the topmost node; 0 when there are no nodes
  uint32_t height;    // levels of nodes; 0 when there are none, 1 when the root is a leaf
  uint32_t changing;  // 1 while the nodes are being changed
  // The leaf that was searched last, and the part of the IOVA space that it is responsible for: the
  // next search may begin there. 0: none.
  uint32_t recent_leaf;
  uint64_t recent_first;
  uint64_t recent_last;
};

namespace internal {

// Marks the index as being changed. The mark of a process that dies meanwhile stays for good.
class MappingIndexChange {
 public:
  explicit MappingIndexChange(MappingIndexState* state) : state_(state) {
    ++state_->changing;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ~MappingIndexChange() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    --state_->changing;
  }
  MappingIndexChange(const MappingIndexChange&) = delete;
  MappingIndexChange& operator=(const MappingIndexChange&) = delete;

 private:
  MappingIndexState* state_;
};

}  // namespace internal

class MappingIndex {
 public:
  // A view on `state`, which lies in `arena`. It owns neither.
  MappingIndex(Arena arena, MappingIndexState* state) : arena_(arena), state_(state) {}

  // What lies at an IOVA, found once for several questions and a change. The next change of the
  // index ends it.
  class Place;
  Place Find(uint64_t iova) const;
  // The mapping that covers the IOVA.
  static std::optional<Mapping> At(const Place& place);
  // Whether no mapping has an IOVA in common with the range from the place's IOVA to `last`.
  bool IsFree(const Place& place, uint64_t last) const;
  // Adds a mapping that begins at the place's IOVA, whose range is free. ENOMEM if the arena is
  // full; then nothing has changed.
  Status InsertAt(const Place& place, const Mapping& mapping);
  // Removes the mapping that covers the place's IOVA: there is one.
  void EraseAt(const Place& place);

  // Adds a mapping. EINVAL if it ends before it begins, EEXIST if it overlaps one that is there,
  // ENOMEM if the arena is full; then nothing has changed.
  Status Insert(const Mapping& mapping);
  // Removes the mapping that begins at `first`. Returns false if there is none.
  bool Erase(uint64_t first);
  // Removes all mappings and frees all nodes. Where Validate() is false the nodes are left alone
  // instead (they stay allocated, for nothing can be said of them), and the index starts afresh.
  void Clear();

  // The mapping that covers `iova`: the translation.
  std::optional<Mapping> FindContaining(uint64_t iova) const;
  // The lowest mapping that has an IOVA in common with [first, last].
  std::optional<Mapping> FindFirstOverlapping(uint64_t first, uint64_t last) const;
  // The lowest mapping that begins above `first`, which need not be a mapping's. So a walk may
  // erase or add mappings as it goes:
  //   for (auto m = index.FindFirstOverlapping(0, UINT64_MAX); m; m = index.Next(m->first)) ...
  std::optional<Mapping> Next(uint64_t first) const;

  // Calls `change` with the mapping that begins at `first` (a Mapping&) and stores what it leaves
  // in user_address, owner, flags and extra. Returns false if there is no such mapping.
  template <typename Change>
  bool Update(uint64_t first, Change change) {
    std::optional<Mapping> mapping = FindContaining(first);
    if (!mapping || mapping->first != first) return false;
    change(*mapping);
    StorePayload(first, *mapping);
    return true;
  }

  size_t size() const { return state_->size; }

  // Checks the whole index: links, order, bounds, counts, and that no change was left unfinished.
  // Safe to call whatever the nodes hold.
  bool Validate() const;

 private:
  // The way from the root down to a leaf.
  struct Path {
    size_t branches;  // how many there are; the root comes first
    MappingBranch* branch[kMaxMappingHeight];
    size_t position[kMaxMappingHeight];  // of the child that the way goes on to
  };
  struct NewNodes;
  struct SpentNodes;

  template <typename Node>
  Node* NodeAt(uint32_t unit) const {
    return arena_.Get(ArenaRef<Node>{unit});
  }

  const MappingLeaf* Descend(uint64_t iova) const;
  MappingLeaf* DescendAndRemember(uint64_t iova) const;
  // To be called before it changes which nodes are responsible for what.
  void ForgetRecent() { state_->recent_leaf = 0; }
  Path PathTo(uint64_t iova) const;
  MappingLeaf* NextLeaf(const Path& path) const;
  bool IsFreeBeyondLeaf(const Place& place, uint64_t last) const;
  std::optional<Mapping> FirstAbove(const Place& place) const;
  void StorePayload(uint64_t first, const Mapping& mapping) const;
  static Mapping MappingAt(const MappingLeaf& leaf, size_t position);
  static void InsertInto(MappingLeaf* leaf, size_t position, const Mapping& mapping);

  void RaiseBound(const Path& path);
  Status InsertBeyondLeaf(const Place& place, const Mapping& mapping);
  Status InsertFirst(const Mapping& mapping);
  Status InsertIntoFull(const Mapping& mapping, MappingLeaf* leaf);
  bool ShareWithNeighbour(const Path& path);
  Status AllocateForSplit(const Path& path, NewNodes& nodes);
  void InsertIntoBranches(const Path& path, uint64_t key, uint32_t unit, NewNodes& nodes);

  // A node with fewer entries than this is filled up from a neighbour or merged with it.
  template <typename Node>
  static constexpr size_t kFewestEntries = Node::kCapacity / 2;

  void RefillLeafOf(uint64_t iova);
  void Refill(const Path& path, SpentNodes& spent);
  template <typename Node>
  bool RefillChild(MappingBranch* parent, size_t position, SpentNodes& spent);

  void FreeBelow(uint32_t unit, uint32_t height);
  struct Validation;
  bool ValidateBelow(uint32_t unit, uint32_t height, const IovaRange& part,
                     Validation& validation) const;

  Arena arena_;
  MappingIndexState* state_;
};

class MappingIndex::Place {
 private:
  friend class MappingIndex;

  // Whether a mapping covers the IOVA: the one before `position`.
  bool IsCovered() const {
    return leaf_ != nullptr && position_ > 0 && leaf_->record(position_ - 1).last >= iova_;
  }

  uint64_t iova_;
  MappingLeaf* leaf_;  // null in an index without nodes
  size_t position_;    // in the leaf, of the first mapping that begins above the IOVA
  uint64_t last_;      // of the leaf's part of the IOVA space
};

// What every MAP and UNMAP does is inline.

inline Mapping MappingIndex::MappingAt(const MappingLeaf& leaf, size_t position) {
  const MappingRecord& record = leaf.record(position);
  return {.first = leaf.key(position),
          .last = record.last,
          .user_address = record.user_address,
          .owner = record.owner,
          .flags = record.flags,
          .extra = record.extra};
}

inline void MappingIndex::InsertInto(MappingLeaf* leaf, size_t position, const Mapping& mapping) {
  leaf->InsertAt(position, mapping.first,
                 {.last = mapping.last,
                  .user_address = mapping.user_address,
                  .owner = mapping.owner,
                  .flags = mapping.flags,
                  .extra = mapping.extra});
}

inline MappingIndex::Place MappingIndex::Find(uint64_t iova) const {
  Place place;
  place.iova_ = iova;
  place.leaf_ = nullptr;
  const bool is_recent =
      state_->recent_leaf != 0 && iova >= state_->recent_first && iova <= state_->recent_last;
  if (is_recent) [[likely]] {
    place.leaf_ = NodeAt<MappingLeaf>(state_->recent_leaf);
  } else {
    if (state_->height == 0) return place;
    place.leaf_ = DescendAndRemember(iova);
  }
  place.last_ = state_->recent_last;
  place.position_ = place.leaf_->CountUpTo(iova);
  return place;
}

inline std::optional<Mapping> MappingIndex::At(const Place& place) {
  if (!place.IsCovered()) return std::nullopt;
  return MappingAt(*place.leaf_, place.position_ - 1);
}

inline bool MappingIndex::IsFree(const Place& place, uint64_t last) const {
  if (place.leaf_ == nullptr) return true;
  if (place.IsCovered()) [[unlikely]]
    return false;
  if (place.position_ < place.leaf_->count()) return place.leaf_->key(place.position_) > last;
  return last <= place.last_ || IsFreeBeyondLeaf(place, last);
}

inline Status MappingIndex::InsertAt(const Place& place, const Mapping& mapping) {
  if (place.leaf_ == nullptr || mapping.last > place.last_ || place.leaf_->full()) [[unlikely]]
    return InsertBeyondLeaf(place, mapping);
  const internal::MappingIndexChange change(state_);
  InsertInto(place.leaf_, place.position_, mapping);
  ++state_->size;
  return {};
}

inline void MappingIndex::EraseAt(const Place& place) {
  {
    const internal::MappingIndexChange change(state_);
    place.leaf_->RemoveAt(place.position_ - 1);
    --state_->size;
  }
  if (place.leaf_->count() >= kFewestEntries<MappingLeaf> || state_->height == 1) return;
  RefillLeafOf(place.iova_);
}

}  // namespace ioas

#endif  // IOAS_MAPPING_INDEX_H_
