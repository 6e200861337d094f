// Internal to AddressSpace.
#ifndef IOAS_ADDRESS_SPACE_CHANGE_H_
#define IOAS_ADDRESS_SPACE_CHANGE_H_

#include <atomic>

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

}  // namespace ioas

#endif  // IOAS_ADDRESS_SPACE_CHANGE_H_
