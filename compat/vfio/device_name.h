// The names that VFIO_GROUP_GET_DEVICE_FD takes.
#ifndef COMPAT_VFIO_DEVICE_NAME_H_
#define COMPAT_VFIO_DEVICE_NAME_H_

#include <string_view>

#include "ioas/base/result.h"

namespace compat::vfio {

// Whether `name` means the PCI device whose address, as the kernel writes it, is `own`: the address
// alone, or with options behind spaces. EINVAL for an option that is not known, given twice or
// malformed, and for " vf_token=UUID" unless the device `takes_token`, having to do with SR-IOV
// (vfio_pci_core_match in drivers/vfio/pci/vfio_pci_core.c).
ioas::Result<bool> MatchDeviceName(std::string_view name, std::string_view own, bool takes_token);

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_DEVICE_NAME_H_
