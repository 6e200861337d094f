#include "compat/preload/paths/directory_open.h"

#include "compat/preload/next.h"
#include "compat/preload/paths/dir_stream.h"
#include "compat/preload/paths/node_open.h"

namespace compat::preload {

DIR* OpenDescriptorStream(int fd) {
  const RememberedNode node = NodeOfDescriptor(fd);
  // The view adds no name to the root directory.
  if (node.node == vfs::kNoNode || node.node == vfs::View::Root()) {
    return Next<"fdopendir", DIR*(int)>()(fd);
  }
  if (CurrentView().Kind(node.node) != vfs::NodeKind::kDirectory) {
    errno = ENOTDIR;
    return nullptr;
  }
  DirStream* const stream = DirStream::Open(fd, node);
  return stream == nullptr ? nullptr : stream->handle();
}

DIR* OpenPathStream(int dirfd, const char* path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;
  const int fd = OpenPath(dirfd, path, kFlags, [](int next_dirfd, const char* next_path) {
    return Next<"openat", int(int, const char*, int, ...)>()(next_dirfd, next_path, kFlags);
  });
  if (fd < 0) return nullptr;
  DIR* const stream = OpenDescriptorStream(fd);
  if (stream == nullptr) {
    OnDescriptorClosed(fd);
    Next<"close", int(int)>()(fd);
  }
  return stream;
}

bool NeedsPathStream(int dirfd, const char* path) {
  return Configured() && IsPathReadable(path) && PathMayMatter(dirfd, path);
}

}  // namespace compat::preload
