// The names that VFIO_GROUP_GET_DEVICE_FD takes.
#ifndef COMPAT_SOFT_DEVICE_NAME_H_
#define COMPAT_SOFT_DEVICE_NAME_H_

#include <string_view>

#include "ioas/base/result.h"
#include "ioas/soft/soft_host.h"

namespace compat::soft {

// Room for "dddd:bb:dd.f" (a domain may need more digits) and its NUL.
inline constexpr size_t kPciAddressLength = 20;
// Writes `address` as the kernel does. Returns it, in `buffer`.
std::string_view FormatPciAddress(const ioas::soft::PciAddress& address,
                                  char (&buffer)[kPciAddressLength]);

// Whether `name` means the device at `address`: its address, alone or with options behind spaces.
// EINVAL for an option that is not known, given twice or malformed, and for " vf_token=UUID", which
// only a function with SR-IOV takes (vfio_pci_core_match in drivers/vfio/pci/vfio_pci_core.c).
ioas::Result<bool> MatchDeviceName(std::string_view name, const ioas::soft::PciAddress& address);

}  // namespace compat::soft

#endif  // COMPAT_SOFT_DEVICE_NAME_H_
