// What every MAP and UNMAP does: AddressSpace's part of address_space.h that is inline.
#ifndef IOAS_ADDRESS_SPACE_MAP_H_
#define IOAS_ADDRESS_SPACE_MAP_H_

#include <atomic>
#include <cerrno>

#include "ioas/address_space.h"

namespace ioas {

// Notes, as long as it lives, that what is mapped in `range` is being made or removed: whoever
// finds that after a death does not know whether it is there.
class AddressSpaceChange {
 public:
  AddressSpaceChange(AddressSpaceState& state, const IovaRange& range) : state_(state) {
    state_.changing = range;
    std::atomic_signal_fence(std::memory_order_release);
    state_.is_changing = 1;
    std::atomic_signal_fence(std::memory_order_release);
  }
  ~AddressSpaceChange() {
    std::atomic_signal_fence(std::memory_order_release);
    state_.is_changing = 0;
  }
  AddressSpaceChange(const AddressSpaceChange&) = delete;
  AddressSpaceChange& operator=(const AddressSpaceChange&) = delete;

 private:
  AddressSpaceState& state_;
};

inline bool AddressSpace::IsUsable(const IovaRange& range) const {
  // Mostly it lies in the lowest.
  if (state_->unreserved_count != 0 && state_->unreserved[0].Contains(range)) return true;
  return IsInUsableRange(range);
}

inline Status AddressSpace::Map(const Mapping& mapping) {
  MappingIndex index = mappings();
  const MappingIndex::Place place = index.Find(mapping.first);
  if (!index.IsFree(place, mapping.last)) [[unlikely]] {
    return Error{EEXIST, "a part of the range is mapped already"};
  }
  if (index.size() >= state_->mapping_limit) [[unlikely]] {
    return Error{ENOSPC, "the address space holds as many mappings as it may"};
  }
  if (!IsUsable({mapping.first, mapping.last})) [[unlikely]] {
    return Error{EINVAL, "the range is not inside one usable IOVA range"};
  }
  if (state_->has_limits != 0) [[unlikely]] {
    IOAS_RETURN_IF_ERROR(
        CheckLimits({mapping.first, mapping.last}, 1, mapping.last - mapping.first + 1));
  }
  const AddressSpaceChange change(*state_, {mapping.first, mapping.last});
  IOAS_RETURN_IF_ERROR(backend_->Map(*handle_, mapping));
  if (Status inserted = index.InsertAt(place, mapping); !inserted.ok()) [[unlikely]] {
    (void)backend_->Unmap(*handle_, mapping);
    return inserted;
  }
  ++state_->statistics.maps;
  state_->statistics.bytes_mapped += mapping.last - mapping.first + 1;
  return {};
}

inline Status AddressSpace::Undo(const Mapping& mapping) {
  if (state_->is_carried_out != 0) [[likely]]
    return backend_->Unmap(*handle_, mapping);
  backend_->Forget(*handle_, mapping);
  return {};
}

inline Status AddressSpace::Unmap(const MappingIndex::Place& place, const Mapping& mapping) {
  const AddressSpaceChange change(*state_, {mapping.first, mapping.last});
  IOAS_RETURN_IF_ERROR(Undo(mapping));
  mappings().EraseAt(place);
  ++state_->statistics.unmaps;
  state_->statistics.bytes_mapped -= mapping.last - mapping.first + 1;
  if (state_->domain_count != 0) ReleaseDirtyPages({mapping.first, mapping.last});
  return {};
}

}  // namespace ioas

#endif  // IOAS_ADDRESS_SPACE_MAP_H_
