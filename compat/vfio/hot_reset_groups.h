// The groups that VFIO_DEVICE_PCI_HOT_RESET names.
#ifndef COMPAT_VFIO_HOT_RESET_GROUPS_H_
#define COMPAT_VFIO_HOT_RESET_GROUPS_H_

#include <cstdint>

#include "compat/decode/decode.h"
#include "compat/vfio/host.h"
#include "ioas/base/result.h"

namespace compat::vfio {

// The groups whose `count` descriptors (at most kMaxDevices) lie behind the call's structure, a bit
// each. EBADF for a number that is not open, EINVAL for a descriptor that is no group's
// (vfio_pci_ioctl_pci_hot_reset_groups). Needs the host's lock.
ioas::Result<uint64_t> CopyInHotResetGroups(const Host& host, const decode::DecodedCall& call,
                                            uint32_t count);

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_HOT_RESET_GROUPS_H_
