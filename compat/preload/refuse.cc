// Calls that legacy VFIO's descriptors refuse, and that would harm the file behind the library's.
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "compat/preload/descriptor_table.h"
#include "compat/preload/next.h"
#include "compat/preload/process_host.h"

namespace compat::preload {
namespace {

bool IsOwn(int fd) { return __builtin_expect(SlotOf(fd) != 0, 0) && VerifiedSlotOf(fd) != 0; }

int Refuse(int error) {
  errno = error;
  return -1;
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): parameters and arguments come in theirs.

// One function each: `error` where `own` says that a descriptor is the library's.
#define COMPAT_REFUSE(result, name, parameters, arguments, own, error) \
  COMPAT_INTERPOSE result name parameters {                            \
    if (own) return Refuse(error);                                     \
    return Next<#name, result parameters>() arguments;                 \
  }

// NOLINTEND(bugprone-macro-parentheses)

// Files that cannot seek (vfs_llseek), are not regular (ftruncate, vfs_fallocate) and have no
// splice operations.
COMPAT_REFUSE(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence), IsOwn(fd),
              ESPIPE)
COMPAT_REFUSE(off64_t, lseek64, (int fd, off64_t offset, int whence), (fd, offset, whence),
              IsOwn(fd), ESPIPE)
COMPAT_REFUSE(int, ftruncate, (int fd, off_t size), (fd, size), IsOwn(fd), EINVAL)
COMPAT_REFUSE(int, ftruncate64, (int fd, off64_t size), (fd, size), IsOwn(fd), EINVAL)
COMPAT_REFUSE(int, fallocate, (int fd, int mode, off_t offset, off_t size),
              (fd, mode, offset, size), IsOwn(fd), ENODEV)
COMPAT_REFUSE(int, fallocate64, (int fd, int mode, off64_t offset, off64_t size),
              (fd, mode, offset, size), IsOwn(fd), ENODEV)
COMPAT_REFUSE(ssize_t, sendfile, (int out, int in, off_t* offset, size_t size),
              (out, in, offset, size), IsOwn(out) || IsOwn(in), EINVAL)
COMPAT_REFUSE(ssize_t, sendfile64, (int out, int in, off64_t* offset, size_t size),
              (out, in, offset, size), IsOwn(out) || IsOwn(in), EINVAL)
COMPAT_REFUSE(ssize_t, splice,
              (int in, off64_t* in_offset, int out, off64_t* out_offset, size_t size,
               unsigned flags),
              (in, in_offset, out, out_offset, size, flags), IsOwn(out) || IsOwn(in), EINVAL)
COMPAT_REFUSE(ssize_t, copy_file_range,
              (int in, off64_t* in_offset, int out, off64_t* out_offset, size_t size,
               unsigned flags),
              (in, in_offset, out, out_offset, size, flags), IsOwn(out) || IsOwn(in), EINVAL)

}  // namespace compat::preload
