// The stat family's behaviour, whatever the function is called.
#ifndef COMPAT_PRELOAD_PATHS_STAT_CALLS_H_
#define COMPAT_PRELOAD_PATHS_STAT_CALLS_H_

#include <fcntl.h>
#include <sys/stat.h>

#include "compat/preload/paths/node_stat.h"
#include "compat/preload/paths/routed_call.h"
#include "compat/preload/paths/user_memory.h"

namespace compat::preload {

// The functions with and without 64 at the end are one on 64-bit Linux.
static_assert(sizeof(struct stat) == sizeof(struct stat64));

// As fstatat(); `next(dirfd, path)` is the function that the program called, with its other
// arguments bound.
template <typename NextCall>
int StatPath(int dirfd, const char* path, int flags, void* out, NextCall next) {
  return RoutedCall(dirfd, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, next, [&](vfs::NodeId node) {
    const struct stat status = StatOfNode(node);
    return CopyOut(out, &status, sizeof(status));
  });
}

// As fstat(), with `next_result` from the function that the program called.
inline int StatDescriptor(int fd, void* out, int next_result) {
  if (next_result == 0 && Configured()) StatOfDescriptor(fd, static_cast<struct stat*>(out));
  return next_result;
}

// Whether flags and path ask for a descriptor itself. (From Linux 6.11 on, the path may be null.)
inline bool MeansDescriptor(const char* path, int flags) {
  return (flags & AT_EMPTY_PATH) != 0 && (path == nullptr || path[0] == '\0');
}

// As fstatat() in full: a path, or a descriptor itself.
template <typename NextCall>
int StatAt(int dirfd, const char* path, int flags, void* out, NextCall next) {
  if ((flags & AT_EMPTY_PATH) == 0) return StatPath(dirfd, path, flags, out, next);
  const int result = next(dirfd, path);
  if (result == -1 && errno == EFAULT) return result;
  if (!MeansDescriptor(path, flags)) return StatPath(dirfd, path, flags, out, next);
  return StatDescriptor(dirfd, out, result);
}

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_STAT_CALLS_H_
