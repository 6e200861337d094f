// The regions of a PCI device and where they lie in its descriptor: region i from i << 40 on
// (VFIO_PCI_INDEX_TO_OFFSET in include/linux/vfio_pci_core.h).
#ifndef COMPAT_VFIO_REGIONS_H_
#define COMPAT_VFIO_REGIONS_H_

#include <cstdint>

namespace compat::vfio {

inline constexpr int kRegionShift = 40;

constexpr uint64_t RegionOffset(uint64_t index) { return index << kRegionShift; }
constexpr uint64_t RegionIndex(uint64_t offset) { return offset >> kRegionShift; }
constexpr uint64_t OffsetInRegion(uint64_t offset) {
  return offset & ((uint64_t{1} << kRegionShift) - 1);
}

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_REGIONS_H_
