// KVM's own calls that name a VFIO group.
#ifndef COMPAT_PRELOAD_KVM_H_
#define COMPAT_PRELOAD_KVM_H_

#include <cstdint>

namespace compat::preload {

// KVM_SET_DEVICE_ATTR of linux/kvm.h.
inline constexpr unsigned long kKvmSetDeviceAttr = 0x4018aee1;

// ioctl(fd, KVM_SET_DEVICE_ATTR, argument). Adding a group of the library's to KVM's VFIO device,
// or taking it out (KVM_DEV_VFIO_GROUP_ADD and _DEL), is done with the group's devices instead
// (KVM_DEV_VFIO_FILE_ADD and _DEL; Documentation/virt/kvm/devices/vfio.rst).
int SetKvmDeviceAttr(int fd, uint64_t argument);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_KVM_H_
