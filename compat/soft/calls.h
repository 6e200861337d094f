// The calls on an emulated device. Internal to this folder.
#ifndef COMPAT_SOFT_CALLS_H_
#define COMPAT_SOFT_CALLS_H_

#include <cstdint>

#include "compat/decode/decode.h"
#include "compat/soft/soft_platform.h"

namespace compat::soft {

// Carries out a call that the decoder knows. Returns why it is refused, if it is.
ioas::Status CallDevice(vfio::Host& host, SoftPlatform& platform, uint32_t index,
                        ioas::soft::SoftDevice& device, const decode::DecodedCall& call);

// VFIO_DEVICE_SET_IRQS (drivers/vfio/pci/vfio_pci_intrs.c).
ioas::Status SetIrqs(vfio::Host& host, ioas::soft::SoftDevice& device,
                     const decode::DecodedCall& call);
// VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET (vfio_pci_core.c).
ioas::Status GetHotResetInfo(vfio::Host& host, uint32_t device, const decode::DecodedCall& call);
ioas::Status HotReset(vfio::Host& host, SoftPlatform& platform, uint32_t device,
                      const decode::DecodedCall& call);

}  // namespace compat::soft

#endif  // COMPAT_SOFT_CALLS_H_
