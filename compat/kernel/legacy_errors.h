// The errnos that a legacy caller may be given, where the kernel's calls behind a legacy one give
// others.
#ifndef COMPAT_KERNEL_LEGACY_ERRORS_H_
#define COMPAT_KERNEL_LEGACY_ERRORS_H_

#include <cerrno>

#include "ioas/base/result.h"

namespace compat::kernel {

// What open() of a group's or a container's node can say (open(2)); whatever else is wrong with the
// calls that stand for it is want of something.
inline ioas::Error OpenError(long result, const char* reason) {
  switch (result) {
    case -EACCES:
    case -EMFILE:
    case -ENFILE:
    case -ENODEV:
    case -ENOENT:
    case -ENXIO:
    case -EPERM:
      return {static_cast<int>(-result), reason};
    default:
      return {ENOMEM, reason};
  }
}

// What GET_DEVICE_FD can say (vfio_group_ioctl_get_device_fd in drivers/vfio/group.c).
inline ioas::Error GetDeviceError(const ioas::Error& error) {
  switch (error.code) {
    case EBUSY:
    case EINVAL:
    case EMFILE:
    case ENFILE:
    case ENODEV:
    case EPERM:
      return error;
    case EACCES:
      return {EPERM, error.reason};
    case ENOENT:
    case ENXIO:
      return {ENODEV, error.reason};
    default:
      return {ENOMEM, error.reason};
  }
}

// What SET_IOMMU and SET_CONTAINER say where the kernel refuses to bind: a device that is bound
// already is EINVAL there (vfio_df_ioctl_bind_iommufd).
inline ioas::Error BindError(const ioas::Error& error) {
  if (error.code == ENOMEM || error.code == ENODEV || error.code == EPERM) return error;
  return {EBUSY, "a device of the group is in use elsewhere"};
}

// What they say where it refuses to attach: vfio_iommu_type1_attach_group has no more.
inline ioas::Error AttachError(const ioas::Error& error) {
  if (error.code == ENOMEM || error.code == EPERM || error.code == EBUSY || error.code == ENODEV) {
    return error;
  }
  return {EINVAL, "the IOMMU cannot give a device of the group the container's address space"};
}

// What they say of anything else.
inline ioas::Error OtherError(const ioas::Error& error) {
  switch (error.code) {
    case EBUSY:
    case EINVAL:
    case ENODEV:
    case EPERM:
      return error;
    case EACCES:
      return {EPERM, error.reason};
    default:
      return {ENOMEM, error.reason};
  }
}

}  // namespace compat::kernel

#endif  // COMPAT_KERNEL_LEGACY_ERRORS_H_
