// The calls on each kind of file. Internal to this folder.
#ifndef COMPAT_VFIO_CALLS_H_
#define COMPAT_VFIO_CALLS_H_

#include <cstdint>

#include "compat/decode/decode.h"
#include "compat/vfio/container_state.h"
#include "ioas/base/result.h"
#include "ioas/soft/soft_device.h"

namespace compat::vfio {

class Host;

// ioctl()'s arguments behind the descriptor.
struct CallArguments {
  uint64_t request;
  uint64_t argument;
  decode::CallerMemory& memory;
};

// Each returns what ioctl() returns, or the errno.
// `slot` is the file's: a container that is no longer that file's is EBADF.
ioas::Result<long> ContainerIoctl(Host& host, ContainerState& container, uint32_t slot,
                                  const CallArguments& arguments);
ioas::Result<long> GroupIoctl(Host& host, uint32_t group, const CallArguments& arguments);
ioas::Result<long> DeviceIoctl(Host& host, uint32_t index, const CallArguments& arguments);

// VFIO_DEVICE_SET_IRQS (drivers/vfio/pci/vfio_pci_intrs.c).
ioas::Status SetIrqs(Host& host, ioas::soft::SoftDevice& device, const decode::DecodedCall& call);
// VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET (vfio_pci_core.c).
ioas::Status GetHotResetInfo(Host& host, uint32_t device, const decode::DecodedCall& call);
ioas::Status HotReset(Host& host, uint32_t device, const decode::DecodedCall& call);

// Counts a call that nobody knows, for the summary.
void CountUnknown(ContainerState& container, uint64_t request);

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_CALLS_H_
