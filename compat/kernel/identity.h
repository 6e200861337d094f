// OFD locks as names of open file descriptions.
//
// A container's /dev/iommu and a device's cdev are files that the kernel makes: nothing of ours can
// be stored in them. But an open file description can hold a lock on one byte of its inode, at any
// offset, whatever kind of file it is; /proc/self/fdinfo shows it to every process that has a
// descriptor, F_OFD_GETLK tells others whether it is held, and it ends with the last descriptor
// (fcntl(2); show_fd_locks in fs/locks.c).
#ifndef COMPAT_KERNEL_IDENTITY_H_
#define COMPAT_KERNEL_IDENTITY_H_

#include <cstdint>

#include "ioas/base/result.h"
#include "ioas/kernel/system_calls.h"

namespace compat::kernel {

// What an open file description is in which host.
struct Identity {
  uint64_t host = 0;    // the inode number of the host's file; 0: it is nobody's
  uint32_t number = 0;  // below kMaxIdentityNumber
};
inline constexpr uint32_t kMaxIdentityNumber = 1u << 21;

// Has `fd`'s description hold the lock that says `identity`. EOVERFLOW if the host's inode number
// cannot be said, EACCES or EAGAIN if another description says it.
ioas::Status HoldIdentity(ioas::kernel::SystemCalls& calls, int fd, const Identity& identity);
// Whether any description of the file that `fd` is open on, other than `fd`'s own, says `identity`;
// true if the kernel does not tell.
bool IsIdentityHeld(ioas::kernel::SystemCalls& calls, int fd, const Identity& identity);
// Whether any description of that file, other than `fd`'s own, says anything at all; as above.
bool IsAnyIdentityHeld(ioas::kernel::SystemCalls& calls, int fd);
// What `fd`'s description says. EMFILE, ENFILE and ENOMEM if /proc/self/fdinfo cannot be read.
ioas::Result<Identity> ReadIdentity(ioas::kernel::SystemCalls& calls, int fd);

// The guard: one description of a file at a time can hold it. EBUSY if another one does, ENOMEM if
// the kernel has no memory for locks.
ioas::Status HoldGuard(ioas::kernel::SystemCalls& calls, int fd);

}  // namespace compat::kernel

#endif  // COMPAT_KERNEL_IDENTITY_H_
