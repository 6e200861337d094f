// The one way in which functions that only look at a path combine libc's answer and the view's.
#ifndef COMPAT_PRELOAD_PATHS_ROUTED_CALL_H_
#define COMPAT_PRELOAD_PATHS_ROUTED_CALL_H_

#include <cerrno>

#include "compat/preload/paths/route.h"
#include "compat/preload/session.h"

namespace compat::preload {

// Turns a negated errno into -1 and errno, as libc does. A success puts `saved_errno` back.
template <typename Result>
Result ReturnToProgram(Result result, int saved_errno) {
  errno = result < 0 ? static_cast<int>(-result) : saved_errno;
  return result < 0 ? -1 : result;
}

// The slow part of RoutedCall(): the path looks like one of the view's.
template <typename Result, typename NextCall, typename NodeCall>
__attribute__((noinline)) Result CallByRoute(int dirfd, const char* path, bool follow,
                                             Result next_result, int saved_errno, NextCall next,
                                             NodeCall on_node) {
  const int next_errno = errno;
  vfs::Resolution resolution;
  switch (Route(dirfd, path, follow, &resolution)) {
    case Destination::kUnchanged:
      errno = next_errno;
      return next_result;
    case Destination::kElsewhere:
      errno = saved_errno;
      return next(AT_FDCWD, resolution.path);
    case Destination::kError:
      errno = resolution.error;
      return -1;
    case Destination::kNode:
      break;
  }
  if (CurrentView().IsMerged(resolution.node)) {
    // The real directory, where there is one, is better at being itself.
    errno = saved_errno;
    const Result result = next(AT_FDCWD, resolution.path);
    if (result != -1 || errno != ENOENT) return result;
  }
  return ReturnToProgram<Result>(on_node(resolution.node), saved_errno);
}

// Calls `next(dirfd, path)`, which must change nothing but its output, and gives its answer unless
// `path` leads into or through the view; for a node of the view it is that of `on_node(node)`: a
// result or a negated errno.
//
// The next function comes first, for it has the kernel look at the path: what is not refused with
// EFAULT can be read here, without a system call to find out.
template <typename NextCall, typename NodeCall>
auto RoutedCall(int dirfd, const char* path, bool follow, NextCall next, NodeCall on_node) {
  const int saved_errno = errno;
  const auto result = next(dirfd, path);
  if (!Configured() || (result == -1 && errno == EFAULT)) return result;
  if (__builtin_expect(!PathMayMatter(dirfd, path), 1)) return result;
  return CallByRoute(dirfd, path, follow, result, saved_errno, next, on_node);
}

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_ROUTED_CALL_H_
