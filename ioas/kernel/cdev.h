// A device's node, /dev/vfio/devices/vfioN: binding the device to a /dev/iommu and attaching it to
// an address space there.
//
// A call that is interrupted is made again (see device_call.h).
#ifndef IOAS_KERNEL_CDEV_H_
#define IOAS_KERNEL_CDEV_H_

#include <cstdint>

#include "ioas/base/result.h"
#include "ioas/kernel/system_calls.h"

namespace ioas::kernel {

// A view: it does not own the descriptor. The last descriptor that is closed detaches and unbinds.
class Cdev {
 public:
  // Opens vfioN, close-on-exec. ENOENT if there is none, EACCES, EMFILE and the like; EINVAL while
  // one of the device's group is open through /dev/vfio (vfio_device_fops_cdev_open in
  // drivers/vfio/device_cdev.c).
  static Result<OwnedDescriptor> Open(SystemCalls& calls, uint32_t number);

  // `calls` outlives it.
  Cdev(SystemCalls& calls, int fd) : calls_(&calls), fd_(fd) {}

  int fd() const { return fd_; }

  // Gives the device to `iommufd`, a descriptor of /dev/iommu, and returns its object number there.
  // Before this every other call on the descriptor is EINVAL. EINVAL: bound already through this
  // descriptor, or the IOMMU does not keep caches coherent; EBUSY: a device of the group has a
  // driver of the kernel, or another owner; EPERM: interrupts are not isolated and
  // allow_unsafe_interrupts is not set; EBADF, EBADFD: `iommufd` is none
  // (vfio_df_ioctl_bind_iommufd in device_cdev.c, iommufd_device_bind in device.c).
  Result<uint32_t> Bind(int iommufd) const;

  // Attaches the device to an IOAS or a page table of that /dev/iommu; if it is attached already,
  // moves it and its group there without a gap where the driver can. Returns the page table that is
  // used: one of the kernel's choice for an IOAS. EINVAL: the group is attached elsewhere, or the
  // IOMMU cannot use the page table for it; EADDRINUSE: something is mapped or allowed where the
  // device has reserved ranges; ENOENT: no such object; otherwise what mapping gives
  // (vfio_df_ioctl_attach_pt in device_cdev.c, iommufd_device_change_pt in device.c).
  Result<uint32_t> Attach(uint32_t page_table) const;
  // Blocks the device's DMA; succeeds if it is not attached (vfio_df_ioctl_detach_pt).
  Status Detach() const;

 private:
  SystemCalls* calls_;
  int fd_;
};

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_CDEV_H_
