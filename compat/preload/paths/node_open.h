// Opening paths and nodes, whatever the function is called.
#ifndef COMPAT_PRELOAD_PATHS_NODE_OPEN_H_
#define COMPAT_PRELOAD_PATHS_NODE_OPEN_H_

#include <fcntl.h>

#include <cerrno>

#include "compat/preload/next.h"
#include "compat/preload/paths/routed_call.h"
#include "compat/preload/paths/user_memory.h"

namespace compat::preload {

// Opens a node with open()'s `flags`. Returns a descriptor or a negated errno. A file's is a sealed
// memory file with its content; a directory's is of an empty directory of the real file system, and
// remembered.
int OpenNode(vfs::NodeId node, int flags);

// Opens some directory in which no file can be found or made, for want of a real one; `flags` may
// hold O_PATH and O_CLOEXEC. Returns a descriptor or a negated errno.
int OpenPlaceholder(int flags);

// Whether `path`, without links in it, is the directory that OpenPlaceholder() opens at best.
bool IsPlaceholderPath(const char* path);

// Opens directory `node`, which the real file system may have, too: `next(dirfd, path)` opens that
// one. Returns as libc does.
template <typename NextCall>
int OpenMerged(vfs::NodeId node, const char* path, int flags, NextCall next) {
  const int saved_errno = errno;
  // Where there is no such directory, the next function would make a file of that name.
  if ((flags & O_CREAT) == 0) {
    const int fd = next(AT_FDCWD, path);
    if (fd >= 0) RememberDescriptor(fd, {.node = node});
    if (fd >= 0 || errno != ENOENT) return fd;
  }
  return ReturnToProgram(OpenNode(node, flags), saved_errno);
}

// The slow part of OpenPath(). `early_fd` is what `next` has opened already, or kNotTried.
inline constexpr int kNotTried = -2;
template <typename NextCall>
__attribute__((noinline)) int OpenByRoute(int dirfd, const char* path, int flags, int early_fd,
                                          int saved_errno, NextCall next) {
  const int early_errno = errno;
  const bool makes_new = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
  const bool follow = (flags & O_NOFOLLOW) == 0 && !makes_new;
  vfs::Resolution resolution;
  const Destination destination = Route(dirfd, path, follow, &resolution);
  if (destination == Destination::kUnchanged) {
    errno = early_errno;
    return early_fd == kNotTried ? next(dirfd, path) : early_fd;
  }
  if (early_fd >= 0) Next<"close", int(int)>()(early_fd);
  errno = saved_errno;
  if (destination == Destination::kElsewhere) return next(AT_FDCWD, resolution.path);
  if (destination == Destination::kError) return ReturnToProgram(-resolution.error, saved_errno);
  if (CurrentView().IsMerged(resolution.node)) {
    return OpenMerged(resolution.node, resolution.path, flags, next);
  }
  return ReturnToProgram(OpenNode(resolution.node, flags), saved_errno);
}

// As openat(); `next(dirfd, path)` is the function that the program called, with its other
// arguments bound.
//
// Opening for reading alone is harmless: there the kernel may see the path first, as in
// RoutedCall(). Anything else could make a file or wake a device, so that the path is looked at
// before, after a system call to find out whether it can be.
template <typename NextCall>
int OpenPath(int dirfd, const char* path, int flags, NextCall next) {
  if (!Configured()) return next(dirfd, path);
  const int saved_errno = errno;
  int early_fd = kNotTried;
  if ((flags & (O_ACCMODE | O_CREAT | O_TRUNC)) == O_RDONLY) {
    early_fd = next(dirfd, path);
    if (early_fd == -1 && errno == EFAULT) return early_fd;
  } else if (!IsPathReadable(path)) {
    return next(dirfd, path);
  }
  if (__builtin_expect(!PathMayMatter(dirfd, path), 1)) {
    return early_fd == kNotTried ? next(dirfd, path) : early_fd;
  }
  return OpenByRoute(dirfd, path, flags, early_fd, saved_errno, next);
}

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_NODE_OPEN_H_
