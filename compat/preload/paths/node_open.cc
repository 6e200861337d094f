#include "compat/preload/paths/node_open.h"

#include <sys/mman.h>

#include <cstring>

#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

// Remembers what `fd` stands for; closes it if that cannot be. Takes a negated errno as well.
int Remember(int fd, vfs::NodeId node) {
  if (fd < 0) return fd;
  if (RememberDescriptor(fd, {.node = node, .is_placeholder = true})) return fd;
  ioas::SystemCall(SYS_close, fd);
  return -EMFILE;
}

// Empty and read-only in every Linux (fs/proc/proc_tty.c).
constexpr char kPlaceholder[] = "/proc/tty/ldisc";

bool IsForReading(int flags) { return (flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY; }

// A file of memory that nobody can write.
int OpenContent(vfs::NodeId node, int flags) {
  char content[vfs::kMaxContent];
  const size_t size = CurrentView().Content(node, content);
  const unsigned cloexec = (flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0;
  const int fd = static_cast<int>(
      ioas::SystemCall(SYS_memfd_create, "vfio-compat-sysfs", cloexec | MFD_ALLOW_SEALING));
  if (fd < 0) return fd;
  const long written = ioas::SystemCall(SYS_pwrite64, fd, content, size, 0L);
  if (written != static_cast<long>(size)) {
    ioas::SystemCall(SYS_close, fd);
    return written < 0 ? static_cast<int>(written) : -ENOSPC;
  }
  ioas::SystemCall(SYS_fcntl, fd, F_ADD_SEALS,
                   F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  return fd;
}

}  // namespace

int OpenPlaceholder(int flags) {
  // The others are for hosts that hide parts of /proc.
  static constexpr const char* kDirectories[] = {kPlaceholder, "/proc/self/fdinfo", "/"};
  int fd = -ENOENT;
  for (const char* directory : kDirectories) {
    fd = static_cast<int>(ioas::SystemCall(SYS_openat, AT_FDCWD, directory,
                                           (flags & (O_PATH | O_CLOEXEC)) | O_DIRECTORY));
    if (fd != -ENOENT && fd != -EACCES) break;
  }
  return fd;
}

bool IsPlaceholderPath(const char* path) { return std::strcmp(path, kPlaceholder) == 0; }

int OpenNode(vfs::NodeId node, int flags) {
  const vfs::View view = CurrentView();
  const vfs::NodeKind kind = view.Kind(node);
  const bool is_directory = kind == vfs::NodeKind::kDirectory;
  if ((flags & O_PATH) != 0) {  // which makes most other flags mean nothing
    if (!is_directory && (flags & O_DIRECTORY) != 0) return -ENOTDIR;
    return Remember(OpenPlaceholder(flags), node);
  }
  if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return -EEXIST;
  if (!is_directory && (flags & O_DIRECTORY) != 0) return -ENOTDIR;
  switch (kind) {
    case vfs::NodeKind::kDirectory:
      if (!IsForReading(flags) || (flags & O_CREAT) != 0) return -EISDIR;
      return Remember(OpenPlaceholder(flags), node);
    case vfs::NodeKind::kFile:
      // As sysfs refuses it even to root: kernfs_fop_open() of fs/kernfs/file.c.
      return IsForReading(flags) ? Remember(OpenContent(node, flags), node) : -EACCES;
    case vfs::NodeKind::kLink:
      return -ELOOP;
    case vfs::NodeKind::kContainer:
      return OpenContainer(flags);
    case vfs::NodeKind::kGroup:
      return OpenGroup(view.Describe(node).group, flags);
    case vfs::NodeKind::kIommufd:
      return OpenIommufd(flags);
    case vfs::NodeKind::kCdev:
      return OpenCdev(view.Describe(node).device, flags);
    case vfs::NodeKind::kNone:
      break;
  }
  return -ENOENT;
}

}  // namespace compat::preload
