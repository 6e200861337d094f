// From a descriptor of unknown origin to the host that it belongs to.
#ifndef COMPAT_KERNEL_FIND_HOST_H_
#define COMPAT_KERNEL_FIND_HOST_H_

#include <cstdint>

#include "ioas/kernel/system_calls.h"

namespace compat::kernel {

// The name of a host's memfd, by which it is found among other processes' descriptors.
inline constexpr char kHostName[] = "vfio-compat-host";

// Whether `path`, a link in /proc/PID/fd, leads to any host's memfd.
bool LeadsToHost(ioas::kernel::SystemCalls& calls, const char* path);

// A new close-on-exec descriptor of the file of the host that `fd` belongs to, as a container, a
// group or a device; -1 if it is none of these, or its host cannot be found: a container's and a
// device's host must be open in a process whose descriptors this one may look at (ptrace(2),
// PTRACE_MODE_READ).
int FindHostOf(ioas::kernel::SystemCalls& calls, int fd);

// The inode number of the host's file `fd`; 0 if it cannot be had.
uint64_t InodeOf(ioas::kernel::SystemCalls& calls, int fd);

}  // namespace compat::kernel

#endif  // COMPAT_KERNEL_FIND_HOST_H_
