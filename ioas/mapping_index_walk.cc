// What goes through a whole MappingIndex: checking it, and taking it down.
#include "ioas/mapping_index.h"

namespace ioas {
namespace {

// Whether it can be the leaf that is responsible for [first, last].
bool LeafIsValid(const MappingLeaf& leaf, uint64_t first, uint64_t last) {
  if (!leaf.KeysAreInOrder(first, last)) return false;
  for (size_t i = 0; i < leaf.count(); ++i) {
    const uint64_t bound = i + 1 < leaf.count() ? leaf.key[i + 1] - 1 : last;
    if (leaf.value[i].last < leaf.key[i] || leaf.value[i].last > bound) return false;
  }
  return true;
}

}  // namespace

bool MappingIndex::Validate() const {
  if (state_->changing != 0 || state_->height > kMaxMappingHeight) return false;
  if (state_->height == 0) return state_->size == 0 && state_->root == 0;
  if (state_->height == 1 && state_->size == 0) {
    return arena_.Contains(state_->root, sizeof(MappingLeaf)) &&
           NodeAt<MappingLeaf>(state_->root)->IsEmpty();
  }
  size_t mappings = 0;
  return ValidateBelow(state_->root, state_->height, 0, UINT64_MAX, mappings) &&
         mappings == state_->size;
}

// Checks the nodes from `unit` down, which are responsible for [first, last], and adds their
// mappings to `mappings`. No node is looked at twice, whatever they refer to: each must begin where
// its parent says, and a parent's keys differ.
bool MappingIndex::ValidateBelow(uint32_t unit, uint32_t height, uint64_t first, uint64_t last,
                                 size_t& mappings) const {
  if (height == 1) {
    if (!arena_.Contains(unit, sizeof(MappingLeaf))) return false;
    const MappingLeaf& leaf = *NodeAt<MappingLeaf>(unit);
    mappings += leaf.count();
    return LeafIsValid(leaf, first, last);
  }
  if (!arena_.Contains(unit, sizeof(MappingBranch))) return false;
  const MappingBranch& branch = *NodeAt<MappingBranch>(unit);
  if (!branch.KeysAreInOrder(first, last) || branch.key[0] != first) return false;
  for (size_t i = 0; i < branch.count(); ++i) {
    const uint64_t child_last = i + 1 < branch.count() ? branch.key[i + 1] - 1 : last;
    if (!ValidateBelow(branch.value[i], height - 1, branch.key[i], child_last, mappings)) {
      return false;
    }
  }
  return true;
}

void MappingIndex::Clear() {
  const MappingIndexState old = *state_;
  const bool valid = Validate();
  *state_ = {};
  if (valid && old.height > 0) FreeBelow(old.root, old.height);
}

void MappingIndex::FreeBelow(uint32_t unit, uint32_t height) {
  if (height == 1) return arena_.Delete(ArenaRef<MappingLeaf>{unit});
  const MappingBranch* branch = NodeAt<MappingBranch>(unit);
  for (size_t i = 0; i < branch->count(); ++i) FreeBelow(branch->value[i], height - 1);
  arena_.Delete(ArenaRef<MappingBranch>{unit});
}

}  // namespace ioas
