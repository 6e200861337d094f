// iommufd on the software host: /dev/iommu, and devices opened as /dev/vfio/devices/vfioN.
//
// Source of what calls answer: drivers/iommu/iommufd/ and drivers/vfio/{device_cdev,iommufd}.c.
#ifndef COMPAT_NATIVE_NATIVE_H_
#define COMPAT_NATIVE_NATIVE_H_

#include "compat/vfio/native.h"

namespace compat::native {

// Has no state of its own: all of it lies in the arena.
const vfio::Native& Iommufd();

}  // namespace compat::native

#endif  // COMPAT_NATIVE_NATIVE_H_
