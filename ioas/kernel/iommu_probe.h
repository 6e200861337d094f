// What the IOMMU in front of a device can map, for those who do not mean to use the device.
#ifndef IOAS_KERNEL_IOMMU_PROBE_H_
#define IOAS_KERNEL_IOMMU_PROBE_H_

#include <cstdint>
#include <span>

#include "ioas/backend.h"
#include "ioas/base/result.h"
#include "ioas/kernel/system_calls.h"
#include "ioas/range.h"

namespace ioas::kernel {

// Reads it as KernelBackend::ReadProperties does, with `apertures` filled in and referred to.
// Attaches the device of node vfioN, `number`, to a /dev/iommu for the moment; the kernel resets it
// before and afterwards, as for any user. Fails as Iommufd::Open and the calls of Cdev do: EBUSY or
// EINVAL if it has a user.
Result<IommuProperties> ProbeIommu(SystemCalls& calls, uint32_t number,
                                   std::span<IovaRange> apertures);

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_IOMMU_PROBE_H_
