// The type 1 personality: VFIO_TYPE1_IOMMU and VFIO_TYPE1v2_IOMMU containers.
//
// Answers as drivers/vfio/vfio_iommu_type1.c of Linux 6.12 does, errno and byte. What differs is in
// tests/conformance/deviations.txt.
#ifndef COMPAT_TYPE1_TYPE1_H_
#define COMPAT_TYPE1_TYPE1_H_

#include "compat/vfio/personality.h"

namespace compat::type1 {

// The kernel's default of the module parameter dma_entry_limit.
inline constexpr uint32_t kMappingLimit = 65535;

// The personality itself; it has no state.
const vfio::Personality& Type1();

}  // namespace compat::type1

#endif  // COMPAT_TYPE1_TYPE1_H_
