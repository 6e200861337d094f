// Where the kernel keeps the memory that is pinned for the windows of an address space.
#ifndef IOAS_PIN_REGISTRY_H_
#define IOAS_PIN_REGISTRY_H_

#include <cstdint>

namespace ioas {

// Beside an IOAS, in the same /dev/iommu. Plain data, for the arena; all zero it is that of an IOAS
// that nothing was attached to. Object numbers of iommufd are not 0.
struct PinRegistry {
  uint32_t device;             // one that is bound there, by its number: whose IOMMU pages must fit
  uint32_t ioas;               // the registry: what is pinned is mapped there; 0: not made yet
  uint32_t hwpt;               // its page table, which no device is attached to
  uint32_t maps_single_pages;  // 1: the address space itself maps with the smallest pages only
};

}  // namespace ioas

#endif  // IOAS_PIN_REGISTRY_H_
