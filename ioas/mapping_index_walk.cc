// What goes through a whole MappingIndex: checking it, and taking it down.
#include "ioas/mapping_index.h"

namespace ioas {
namespace {

// Whether it can be the leaf that is responsible for `part`.
bool LeafIsValid(const MappingLeaf& leaf, const IovaRange& part) {
  if (!leaf.KeysAreInOrder(part.first, part.last)) return false;
  for (size_t i = 0; i < leaf.count(); ++i) {
    const uint64_t bound = i + 1 < leaf.count() ? leaf.key(i + 1) - 1 : part.last;
    if (leaf.record(i).last < leaf.key(i) || leaf.record(i).last > bound) return false;
  }
  return true;
}

}  // namespace

// What has been seen so far.
struct MappingIndex::Validation {
  size_t mappings = 0;
  // Whether the leaf that was searched last is there, and responsible for what it was then.
  bool knows_recent_leaf = false;
};

bool MappingIndex::Validate() const {
  if (state_->changing != 0 || state_->height > kMaxMappingHeight) return false;
  if (state_->height == 0) {
    return state_->size == 0 && state_->root == 0 && state_->recent_leaf == 0;
  }
  if (state_->height == 1 && state_->size == 0) {
    const bool knows_recent_leaf = state_->recent_leaf == 0 ||
                                   (state_->recent_leaf == state_->root &&
                                    state_->recent_first == 0 && state_->recent_last == UINT64_MAX);
    return knows_recent_leaf && arena_.Contains(state_->root, sizeof(MappingLeaf)) &&
           NodeAt<MappingLeaf>(state_->root)->IsEmpty();
  }
  Validation validation = {.knows_recent_leaf = state_->recent_leaf == 0};
  return ValidateBelow(state_->root, state_->height, {0, UINT64_MAX}, validation) &&
         validation.mappings == state_->size && validation.knows_recent_leaf;
}

// Checks the nodes from `unit` down, which are responsible for `part`. No node is looked at twice,
// whatever they refer to: each must begin where its parent says, and a parent's keys differ.
bool MappingIndex::ValidateBelow(uint32_t unit, uint32_t height, const IovaRange& part,
                                 Validation& validation) const {
  if (height == 1) {
    if (!arena_.Contains(unit, sizeof(MappingLeaf))) return false;
    const MappingLeaf& leaf = *NodeAt<MappingLeaf>(unit);
    validation.mappings += leaf.count();
    if (unit == state_->recent_leaf) {
      validation.knows_recent_leaf = part == IovaRange{state_->recent_first, state_->recent_last};
    }
    return LeafIsValid(leaf, part);
  }
  if (!arena_.Contains(unit, sizeof(MappingBranch))) return false;
  const MappingBranch& branch = *NodeAt<MappingBranch>(unit);
  if (!branch.KeysAreInOrder(part.first, part.last) || branch.key[0] != part.first) return false;
  for (size_t i = 0; i < branch.count(); ++i) {
    const uint64_t child_last = i + 1 < branch.count() ? branch.key[i + 1] - 1 : part.last;
    if (!ValidateBelow(branch.value[i], height - 1, {branch.key[i], child_last}, validation)) {
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
