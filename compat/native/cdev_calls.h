// Devices opened as /dev/vfio/devices/vfioN. Internal to this folder.
#ifndef COMPAT_NATIVE_CDEV_CALLS_H_
#define COMPAT_NATIVE_CDEV_CALLS_H_

#include <cstdint>

#include "compat/vfio/host.h"
#include "ioas/base/result.h"

namespace compat::native {

// A file of the host's device `device`, and the descriptor of it that a call is made on.
struct Cdev {
  vfio::Host& host;
  uint32_t device;
  uint32_t slot;
  int fd;
};

// ioctl(): BIND_IOMMUFD, and once that is done ATTACH, DETACH and the device's own calls; EINVAL
// before (vfio_device_fops_unl_ioctl in drivers/vfio/vfio_main.c).
ioas::Result<long> CallCdev(const Cdev& cdev, const vfio::CallArguments& arguments);

// The file `slot` of `device` has ended: what it has bound is bound no more. Needs the host's lock.
void CloseCdev(vfio::Host& host, uint32_t device, uint32_t slot);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_CDEV_CALLS_H_
