// access(), faccessat(), euidaccess(), eaccess().
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "compat/preload/next.h"
#include "compat/preload/paths/routed_call.h"
#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

using AccessFunction = int(const char*, int);
using FaccessatFunction = int(int, const char*, int, int);

// Whether a node can be used as `mode` says: what opening it would allow. `next(dirfd, path)` asks
// that of a real file. Returns 0 or a negated errno.
template <typename NextCall>
int CheckAccess(vfs::NodeId node, int mode, NextCall next) {
  char real[PATH_MAX];
  if (CurrentView().RealFile(node, real)) return next(AT_FDCWD, real) == 0 ? 0 : -errno;
  int allowed = R_OK;
  switch (CurrentView().Kind(node)) {
    case vfs::NodeKind::kContainer:
    case vfs::NodeKind::kGroup:
    case vfs::NodeKind::kIommufd:
    case vfs::NodeKind::kCdev:
      allowed = R_OK | W_OK;
      break;
    case vfs::NodeKind::kDirectory:
      allowed = R_OK | X_OK | (ioas::SystemCall(SYS_geteuid) == 0 ? W_OK : 0);
      break;
    case vfs::NodeKind::kLink:
      allowed = R_OK | W_OK | X_OK;
      break;
    default:
      break;
  }
  return (mode & ~allowed) == 0 ? 0 : -EACCES;
}

bool IsValidMode(int mode) { return (mode & ~(R_OK | W_OK | X_OK)) == 0; }

template <typename NextCall>
int AccessPath(int dirfd, const char* path, int mode, int flags, NextCall next) {
  if (!IsValidMode(mode)) return next(dirfd, path);
  return RoutedCall(dirfd, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, next,
                    [mode, next](vfs::NodeId node) { return CheckAccess(node, mode, next); });
}

template <FunctionName kName>
int CallAccess(const char* path, int mode) {
  return AccessPath(AT_FDCWD, path, mode, 0, [mode](int /*dirfd*/, const char* next_path) {
    return Next<kName, AccessFunction>()(next_path, mode);
  });
}

}  // namespace

COMPAT_INTERPOSE int access(const char* name, int type) noexcept {
  return CallAccess<"access">(name, type);
}

COMPAT_INTERPOSE int euidaccess(const char* name, int type) noexcept {
  return CallAccess<"euidaccess">(name, type);
}

COMPAT_INTERPOSE int eaccess(const char* name, int type) noexcept {
  return CallAccess<"eaccess">(name, type);
}

COMPAT_INTERPOSE int faccessat(int fd, const char* file, int type, int flag) noexcept {
  const auto next = [=](int next_dirfd, const char* next_path) {
    return Next<"faccessat", FaccessatFunction>()(next_dirfd, next_path, type, flag);
  };
  // A descriptor itself, which the kernel knows best.
  if ((flag & AT_EMPTY_PATH) != 0) return next(fd, file);
  return AccessPath(fd, file, type, flag, next);
}

}  // namespace compat::preload
