// readlink(), readlinkat() and their fortified forms.
#include <unistd.h>

#include <algorithm>

#include "compat/preload/next.h"
#include "compat/preload/paths/descriptor_link.h"
#include "compat/preload/paths/routed_call.h"
#include "compat/preload/paths/user_memory.h"

namespace compat::preload {
namespace {

using ReadlinkFunction = ssize_t(const char*, char*, size_t);
using ReadlinkatFunction = ssize_t(int, const char*, char*, size_t);
using ReadlinkChkFunction = ssize_t(const char*, char*, size_t, size_t);
using ReadlinkatChkFunction = ssize_t(int, const char*, char*, size_t, size_t);

// Gives the program a link's text as readlink() does: cut off, and without a zero at its end.
ssize_t GiveLink(const char* text, size_t length, char* out, size_t size) {
  const size_t count = std::min(length, size);
  const int error = CopyOut(out, text, count);
  return error != 0 ? error : static_cast<ssize_t>(count);
}

ssize_t ReadNode(vfs::NodeId node, char* out, size_t size) {
  if (CurrentView().Kind(node) != vfs::NodeKind::kLink) return -EINVAL;
  char target[vfs::kMaxNodePath];
  return GiveLink(target, CurrentView().LinkTarget(node, target), out, size);
}

// A descriptor that was opened with O_PATH and O_NOFOLLOW on a link.
bool IsLinkDescriptor(int dirfd, const char* path) {
  return path[0] == '\0' && NodeOfDescriptor(dirfd).is_placeholder;
}

// Reads the link at `path` if it is one that the kernel knows nothing of, or shows as something
// else; or calls `next` with what it is to be given. The kernel cannot go first here: what it left
// in the program's buffer behind a shorter answer would show in programs that filled it with zeros.
template <typename NextCall>
ssize_t ReadByRoute(int dirfd, const char* path, char* out, size_t size, NextCall next) {
  const int saved_errno = errno;
  vfs::Resolution resolution;
  const Destination destination =
      PathMayMatter(dirfd, path) ? Route(dirfd, path, false, &resolution) : Destination::kUnchanged;
  errno = saved_errno;
  switch (destination) {
    case Destination::kUnchanged:
      return next(dirfd, path);
    case Destination::kElsewhere:
      return next(AT_FDCWD, resolution.path);
    case Destination::kError:
      errno = resolution.error;
      return -1;
    case Destination::kNode:
      break;
  }
  return ReturnToProgram(ReadNode(resolution.node, out, size), saved_errno);
}

template <typename NextCall>
ssize_t ReadLink(int dirfd, const char* path, char* out, size_t size, NextCall next) {
  char copy[PATH_MAX];
  const int saved_errno = errno;
  // The last part of the path counts, so that all of it has to be read.
  if (!Configured() || size == 0 || CopyPath(path, copy) < 0) return next(dirfd, path);
  if (IsLinkDescriptor(dirfd, copy)) {
    return ReturnToProgram(ReadNode(NodeOfDescriptor(dirfd).node, out, size), saved_errno);
  }
  char text[vfs::kMaxNodePath];
  const size_t length = DescriptorLink(dirfd, copy, text);
  if (length != 0) return ReturnToProgram(GiveLink(text, length, out, size), saved_errno);
  errno = saved_errno;
  return ReadByRoute(dirfd, copy, out, size, next);
}

}  // namespace

COMPAT_INTERPOSE ssize_t readlink(const char* path, char* buf, size_t len) noexcept {
  return ReadLink(AT_FDCWD, path, buf, len, [=](int /*dirfd*/, const char* next_path) {
    return Next<"readlink", ReadlinkFunction>()(next_path, buf, len);
  });
}

COMPAT_INTERPOSE ssize_t readlinkat(int fd, const char* path, char* buf, size_t len) noexcept {
  return ReadLink(fd, path, buf, len, [=](int next_dirfd, const char* next_path) {
    return Next<"readlinkat", ReadlinkatFunction>()(next_dirfd, next_path, buf, len);
  });
}

COMPAT_INTERPOSE ssize_t __readlink_chk(const char* path, char* out, size_t size, size_t room) {
  return ReadLink(AT_FDCWD, path, out, size, [=](int /*dirfd*/, const char* next_path) {
    return Next<"__readlink_chk", ReadlinkChkFunction>()(next_path, out, size, room);
  });
}

COMPAT_INTERPOSE ssize_t __readlinkat_chk(int dirfd, const char* path, char* out, size_t size,
                                          size_t room) {
  return ReadLink(dirfd, path, out, size, [=](int next_dirfd, const char* next_path) {
    return Next<"__readlinkat_chk", ReadlinkatChkFunction>()(next_dirfd, next_path, out, size,
                                                             room);
  });
}

}  // namespace compat::preload
