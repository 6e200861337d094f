// This process's use of a host: the one place where the interposed functions find out whether there
// is anything for them to do.
#ifndef COMPAT_PRELOAD_SESSION_H_
#define COMPAT_PRELOAD_SESSION_H_

#include <cstddef>
#include <cstdint>

#include "compat/vfs/inventory.h"

namespace compat::preload {

// Whether the environment configures this library at all. False means that every interposed
// function is to call the next one at once. Cheap: one load after the first call.
bool Configured();

// What the file system view adds: emulated devices, or the groups of the machine's own. Null if
// there is nothing (not configured, or the configuration was refused, which has been logged by
// then).
const vfs::Inventory* EmulatedDevices();

// Why EmulatedDevices() has been null although there is to be something: an errno, such as ENOMEM,
// for which it may not be another time. 0 otherwise.
int HostProblem();

// Opens /dev/vfio/vfio, or /dev/vfio/GROUP. `flags` are open()'s. Returns a descriptor, or a
// negative errno: EBUSY for a group that is open, EMFILE, ENOMEM, EACCES.
int OpenContainer(int flags);
int OpenGroup(uint32_t group, int flags);
// Likewise /dev/iommu, and /dev/vfio/devices/vfioN of emulated device N.
int OpenIommufd(int flags);
int OpenCdev(uint32_t device, int flags);

// What `fd` shows itself as: "/dev/vfio/vfio", "/dev/vfio/GROUP", "/dev/vfio/noiommu-GROUP",
// "/dev/iommu", "/dev/vfio/devices/vfioN" or "anon_inode:[vfio-device]", in `path` of `size` bytes.
// Returns false if `fd` is not one of the library's.
bool DescriptorPath(int fd, char* path, size_t size);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_SESSION_H_
