// What the tree keeps to, beyond what any B+tree does:
//
// - A branch's keys say where the part of the IOVA space begins that each child is responsible for.
//   The keys of the leftmost branches begin with 0, so every IOVA has its leaf, and a branch's
//   first key equals the key that its parent has for it.
// - A mapping ends in the part of the leaf that it begins in. Therefore one descent translates an
//   address, and whether a new mapping collides is seen in one leaf, except where it reaches into
//   the next leaf's part: then that leaf's part is made to begin later (RaiseBound).
// - There are no links between leaves; a step to the next leaf goes by way of the branches, which
//   are few enough to be in the cache.
#include "ioas/mapping_index.h"

#include <atomic>

namespace ioas {
namespace {

using Change = internal::MappingIndexChange;

// Nodes merge only if some room is left then, so that the next insertion does not split them again.
template <typename Node>
constexpr size_t kMostMerged = Node::kCapacity - Node::kCapacity / 8;

// The place of the mapping that covers `iova`, or kNowhere.
constexpr size_t kNowhere = SIZE_MAX;
size_t PlaceContaining(const MappingLeaf& leaf, uint64_t iova) {
  const size_t count = leaf.CountUpTo(iova);
  return count > 0 && leaf.record(count - 1).last >= iova ? count - 1 : kNowhere;
}

// Gives two neighbours the same number of entries.
template <typename Node>
void Share(Node* left, Node* right) {
  Node::Distribute(*left, *right, (left->count() + right->count()) / 2);
}

// Moves the upper half of a full node to a new one.
template <typename Node>
void Split(Node* node, Node* fresh) {
  fresh->Initialize();
  Node::Distribute(*node, *fresh, node->count() - node->count() / 2);
}

}  // namespace

// Nodes allocated before a change, because the change itself must not fail.
struct MappingIndex::NewNodes {
  uint32_t leaf = 0;
  size_t branches = 0;
  uint32_t branch[kMaxMappingHeight];
};

// Nodes to be freed after a change, when the arena may be locked again.
struct MappingIndex::SpentNodes {
  uint32_t leaf = 0;
  size_t branches = 0;
  uint32_t branch[kMaxMappingHeight];

  void Add(ArenaRef<MappingLeaf> node) { leaf = node.unit; }
  void Add(ArenaRef<MappingBranch> node) { branch[branches++] = node.unit; }
  void Free(Arena arena) const {
    arena.Delete(ArenaRef<MappingLeaf>{leaf});
    for (size_t i = 0; i < branches; ++i) arena.Delete(ArenaRef<MappingBranch>{branch[i]});
  }
};

// Whether there are more leaves than the cache is likely to hold.
static bool IsLarge(const MappingIndexState& state) { return state.height > 2; }

// The leaf that is responsible for `iova`. There must be nodes. Leaves and the branches
// right above them are too many to stay in the cache, so what a search may touch of them is fetched
// at once, instead of one line when the one before has arrived.
inline const MappingLeaf* MappingIndex::Descend(uint64_t iova) const {
  uint32_t unit = state_->root;
  for (uint32_t level = state_->height; level > 1; --level) {
    const MappingBranch* branch = NodeAt<MappingBranch>(unit);
    if (level == 2 && IsLarge(*state_)) branch->PrefetchKeys();
    unit = branch->value[branch->CountUpTo(iova) - 1];
  }
  MappingLeaf* leaf = NodeAt<MappingLeaf>(unit);
  if (IsLarge(*state_)) leaf->Prefetch();
  return leaf;
}

// The same, for Find.
MappingLeaf* MappingIndex::DescendAndRemember(uint64_t iova) const {
  IovaRange part = {0, UINT64_MAX};
  uint32_t unit = state_->root;
  for (uint32_t level = state_->height; level > 1; --level) {
    const MappingBranch* branch = NodeAt<MappingBranch>(unit);
    if (level == 2 && IsLarge(*state_)) branch->PrefetchKeys();
    const size_t position = branch->CountUpTo(iova) - 1;
    part.first = branch->key[position];
    if (position + 1 < branch->count()) part.last = branch->key[position + 1] - 1;
    unit = branch->value[position];
  }
  MappingLeaf* leaf = NodeAt<MappingLeaf>(unit);
  if (IsLarge(*state_)) leaf->Prefetch();
  // A process may die anywhere in here.
  state_->recent_leaf = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  state_->recent_first = part.first;
  state_->recent_last = part.last;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  state_->recent_leaf = unit;
  return leaf;
}

// The way to the leaf that is responsible for `iova`. There must be nodes.
MappingIndex::Path MappingIndex::PathTo(uint64_t iova) const {
  Path path;
  path.branches = state_->height - 1;
  uint32_t unit = state_->root;
  for (size_t level = 0; level < path.branches; ++level) {
    MappingBranch* branch = NodeAt<MappingBranch>(unit);
    const size_t position = branch->CountUpTo(iova) - 1;
    path.branch[level] = branch;
    path.position[level] = position;
    unit = branch->value[position];
  }
  return path;
}

// The leaf behind the one that `path` leads to, or nullptr.
MappingLeaf* MappingIndex::NextLeaf(const Path& path) const {
  size_t level = path.branches;
  while (level > 0 && path.position[level - 1] + 1 == path.branch[level - 1]->count()) --level;
  if (level == 0) return nullptr;
  uint32_t unit = path.branch[level - 1]->value[path.position[level - 1] + 1];
  for (; level < path.branches; ++level) unit = NodeAt<MappingBranch>(unit)->value[0];
  return NodeAt<MappingLeaf>(unit);
}

std::optional<Mapping> MappingIndex::FindContaining(uint64_t iova) const {
  if (state_->height == 0) return std::nullopt;
  const MappingLeaf* leaf = Descend(iova);
  const size_t position = PlaceContaining(*leaf, iova);
  if (position == kNowhere) return std::nullopt;
  return MappingAt(*leaf, position);
}

// Whether the next leaf's part, which a range up to `last` reaches, begins with nothing that is in
// its way.
bool MappingIndex::IsFreeBeyondLeaf(const Place& place, uint64_t last) const {
  return NextLeaf(PathTo(place.iova_))->lower_bound() > last;
}

std::optional<Mapping> MappingIndex::FindFirstOverlapping(uint64_t first, uint64_t last) const {
  const Place place = Find(first);
  if (place.IsCovered()) return At(place);
  const std::optional<Mapping> next = FirstAbove(place);
  return next && next->first <= last ? next : std::nullopt;
}

std::optional<Mapping> MappingIndex::Next(uint64_t first) const { return FirstAbove(Find(first)); }

// The lowest mapping that begins above the place's IOVA.
std::optional<Mapping> MappingIndex::FirstAbove(const Place& place) const {
  if (place.leaf_ == nullptr) return std::nullopt;
  if (place.position_ < place.leaf_->count()) return MappingAt(*place.leaf_, place.position_);
  const MappingLeaf* next = NextLeaf(PathTo(place.iova_));
  if (next == nullptr) return std::nullopt;
  return MappingAt(*next, 0);
}

void MappingIndex::StorePayload(uint64_t first, const Mapping& mapping) const {
  const Place place = Find(first);
  if (place.leaf_ == nullptr) return;
  MappingRecord& record = place.leaf_->record(place.position_ - 1);
  record.user_address = mapping.user_address;
  record.owner = mapping.owner;
  record.flags = mapping.flags;
  record.extra = mapping.extra;
}

Status MappingIndex::Insert(const Mapping& mapping) {
  if (mapping.first > mapping.last) return Error{EINVAL, "the range ends before it begins"};
  const Place place = Find(mapping.first);
  if (!IsFree(place, mapping.last)) return Error{EEXIST, "the range overlaps a mapping"};
  return InsertAt(place, mapping);
}

// InsertAt where there is no leaf, where it has no room, or where the mapping ends behind its part.
Status MappingIndex::InsertBeyondLeaf(const Place& place, const Mapping& mapping) {
  if (place.leaf_ == nullptr) return InsertFirst(mapping);
  ForgetRecent();
  if (mapping.last > place.last_) RaiseBound(PathTo(place.iova_));
  return place.leaf_->full() ? InsertIntoFull(mapping, place.leaf_) : Insert(mapping);
}

// Lets the next leaf's part of the IOVA space begin with its first mapping.
void MappingIndex::RaiseBound(const Path& path) {
  const Change change(state_);
  const uint64_t bound = NextLeaf(path)->lower_bound();
  size_t level = path.branches;
  while (path.position[level - 1] + 1 == path.branch[level - 1]->count()) --level;
  MappingBranch* branch = path.branch[level - 1];
  size_t position = path.position[level - 1] + 1;
  for (;;) {
    branch->key[position] = bound;
    if (level++ == path.branches) return;
    branch = NodeAt<MappingBranch>(branch->value[position]);
    position = 0;
  }
}

Status MappingIndex::InsertFirst(const Mapping& mapping) {
  const Result<ArenaRef<MappingLeaf>> made = arena_.New<MappingLeaf>();
  if (!made.ok()) return made.error();
  MappingLeaf* leaf = arena_.Get(*made);
  leaf->Initialize();
  InsertInto(leaf, 0, mapping);
  const Change change(state_);
  state_->root = made->unit;
  state_->height = 1;
  state_->size = 1;
  return {};
}

Status MappingIndex::InsertIntoFull(const Mapping& mapping, MappingLeaf* leaf) {
  const Path path = PathTo(mapping.first);
  if (ShareWithNeighbour(path)) return Insert(mapping);
  NewNodes nodes;
  IOAS_RETURN_IF_ERROR(AllocateForSplit(path, nodes));
  const Change change(state_);
  MappingLeaf* fresh = NodeAt<MappingLeaf>(nodes.leaf);
  Split(leaf, fresh);
  const uint64_t bound = fresh->lower_bound();
  MappingLeaf* target = mapping.first < bound ? leaf : fresh;
  InsertInto(target, target->CountUpTo(mapping.first), mapping);
  InsertIntoBranches(path, bound, nodes.leaf, nodes);
  ++state_->size;
  return {};
}

// Makes room in a full leaf by moving mappings to the leaf before or behind it, if that one has
// room: leaves stay fuller than splitting alone would keep them.
bool MappingIndex::ShareWithNeighbour(const Path& path) {
  if (path.branches == 0) return false;
  constexpr size_t kMostToShare = 2 * MappingLeaf::kCapacity - 2;
  MappingBranch* parent = path.branch[path.branches - 1];
  const size_t position = path.position[path.branches - 1];
  for (const size_t right_position : {position + 1, position}) {
    if (right_position == 0 || right_position == parent->count()) continue;
    MappingLeaf* left = NodeAt<MappingLeaf>(parent->value[right_position - 1]);
    MappingLeaf* right = NodeAt<MappingLeaf>(parent->value[right_position]);
    if (left->count() + right->count() > kMostToShare) continue;
    const Change change(state_);
    Share(left, right);
    parent->key[right_position] = right->lower_bound();
    return true;
  }
  return false;
}

// Allocates what a split of the leaf takes: a leaf, a branch for each full one above it, and
// another if they are all full. Allocates nothing if it cannot have everything.
Status MappingIndex::AllocateForSplit(const Path& path, NewNodes& nodes) {
  const Result<ArenaRef<MappingLeaf>> leaf = arena_.New<MappingLeaf>();
  if (!leaf.ok()) return leaf.error();
  nodes.leaf = leaf->unit;
  size_t level = path.branches;
  while (level > 0 && path.branch[level - 1]->full()) --level;
  const size_t needed = path.branches - level + (level == 0 ? 1 : 0);
  while (nodes.branches < needed) {
    const Result<ArenaRef<MappingBranch>> branch = arena_.New<MappingBranch>();
    if (!branch.ok()) {
      arena_.Delete(*leaf);
      while (nodes.branches > 0) {
        arena_.Delete(ArenaRef<MappingBranch>{nodes.branch[--nodes.branches]});
      }
      return branch.error();
    }
    nodes.branch[nodes.branches++] = branch->unit;
  }
  return {};
}

// Enters a new leaf, whose part of the IOVA space begins at `key`, behind the one that `path` leads
// to, and splits the branches that have no room for it.
void MappingIndex::InsertIntoBranches(const Path& path, uint64_t key, uint32_t unit,
                                      NewNodes& nodes) {
  for (size_t level = path.branches; level > 0; --level) {
    MappingBranch* branch = path.branch[level - 1];
    const size_t position = path.position[level - 1] + 1;
    if (!branch->full()) return branch->InsertAt(position, key, unit);
    const uint32_t fresh_unit = nodes.branch[--nodes.branches];
    MappingBranch* fresh = NodeAt<MappingBranch>(fresh_unit);
    Split(branch, fresh);
    if (position <= branch->count()) {
      branch->InsertAt(position, key, unit);
    } else {
      fresh->InsertAt(position - branch->count(), key, unit);
    }
    key = fresh->lower_bound();
    unit = fresh_unit;
  }
  const uint32_t root = nodes.branch[--nodes.branches];
  MappingBranch* branch = NodeAt<MappingBranch>(root);
  branch->Initialize();
  branch->InsertAt(0, 0, state_->root);
  branch->InsertAt(1, key, unit);
  state_->root = root;
  ++state_->height;
}

bool MappingIndex::Erase(uint64_t first) {
  const Place place = Find(first);
  if (!place.IsCovered() || place.leaf_->key(place.position_ - 1) != first) return false;
  EraseAt(place);
  return true;
}

void MappingIndex::RefillLeafOf(uint64_t iova) {
  ForgetRecent();
  SpentNodes spent;
  {
    const Change change(state_);
    Refill(PathTo(iova), spent);
  }
  spent.Free(arena_);
}

// Sees to it that the leaf that `path` leads to, which is not the root, and the branches above it
// are not too empty.
void MappingIndex::Refill(const Path& path, SpentNodes& spent) {
  size_t level = path.branches;
  bool merged = RefillChild<MappingLeaf>(path.branch[level - 1], path.position[level - 1], spent);
  while (merged && --level > 0 && path.branch[level]->count() < kFewestEntries<MappingBranch>) {
    merged = RefillChild<MappingBranch>(path.branch[level - 1], path.position[level - 1], spent);
  }
  MappingBranch* root = path.branch[0];
  if (root->count() > 1) return;
  spent.Add(ArenaRef<MappingBranch>{state_->root});
  state_->root = root->value[0];
  --state_->height;
}

// Merges the child at `position` with a neighbour, or lets them share their entries evenly. Returns
// whether they merged, so that the parent has a child less.
template <typename Node>
bool MappingIndex::RefillChild(MappingBranch* parent, size_t position, SpentNodes& spent) {
  const size_t left_position = position + 1 < parent->count() ? position : position - 1;
  const uint32_t right_unit = parent->value[left_position + 1];
  Node* left = NodeAt<Node>(parent->value[left_position]);
  Node* right = NodeAt<Node>(right_unit);
  if (left->count() + right->count() <= kMostMerged<Node>) {
    Node::Distribute(*left, *right, left->count() + right->count());
    parent->RemoveAt(left_position + 1);
    spent.Add(ArenaRef<Node>{right_unit});
    return true;
  }
  Share(left, right);
  parent->key[left_position + 1] = right->lower_bound();
  return false;
}

}  // namespace ioas
