// stat(), lstat(), fstat(), fstatat(), with and without 64, and statx().
#include "compat/preload/next.h"
#include "compat/preload/paths/stat_calls.h"
#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

using StatFunction = int(const char*, struct stat*);
using FstatFunction = int(int, struct stat*);
using FstatatFunction = int(int, const char*, struct stat*, int);
using StatxFunction = int(int, const char*, int, unsigned, struct statx*);

template <FunctionName kName>
int CallStat(const char* path, int flags, void* out) {
  auto* const status = static_cast<struct stat*>(out);
  return StatPath(AT_FDCWD, path, flags, out, [status](int /*dirfd*/, const char* next_path) {
    return Next<kName, StatFunction>()(next_path, status);
  });
}

template <FunctionName kName>
int CallFstat(int fd, void* out) {
  auto* const status = static_cast<struct stat*>(out);
  return StatDescriptor(fd, out, Next<kName, FstatFunction>()(fd, status));
}

template <FunctionName kName>
int CallFstatat(int dirfd, const char* path, void* out, int flags) {
  auto* const status = static_cast<struct stat*>(out);
  return StatAt(dirfd, path, flags, out, [=](int next_dirfd, const char* next_path) {
    return Next<kName, FstatatFunction>()(next_dirfd, next_path, status, flags);
  });
}

}  // namespace

COMPAT_INTERPOSE int stat(const char* path, struct stat* out) noexcept {
  return CallStat<"stat">(path, 0, out);
}

COMPAT_INTERPOSE int stat64(const char* path, struct stat64* out) noexcept {
  return CallStat<"stat64">(path, 0, out);
}

COMPAT_INTERPOSE int lstat(const char* path, struct stat* out) noexcept {
  return CallStat<"lstat">(path, AT_SYMLINK_NOFOLLOW, out);
}

COMPAT_INTERPOSE int lstat64(const char* path, struct stat64* out) noexcept {
  return CallStat<"lstat64">(path, AT_SYMLINK_NOFOLLOW, out);
}

COMPAT_INTERPOSE int fstat(int fd, struct stat* out) noexcept {
  return CallFstat<"fstat">(fd, out);
}

COMPAT_INTERPOSE int fstat64(int fd, struct stat64* out) noexcept {
  return CallFstat<"fstat64">(fd, out);
}

COMPAT_INTERPOSE int fstatat(int dirfd, const char* path, struct stat* out, int flags) noexcept {
  return CallFstatat<"fstatat">(dirfd, path, out, flags);
}

COMPAT_INTERPOSE int fstatat64(int dirfd, const char* path, struct stat64* out,
                               int flags) noexcept {
  return CallFstatat<"fstatat64">(dirfd, path, out, flags);
}

COMPAT_INTERPOSE int statx(int dirfd, const char* path, int flags, unsigned mask,
                           struct statx* out) noexcept {
  const auto next = [=](int next_dirfd, const char* next_path) {
    return Next<"statx", StatxFunction>()(next_dirfd, next_path, flags, mask, out);
  };
  if ((flags & AT_EMPTY_PATH) != 0) {
    const int result = next(dirfd, path);
    if (result != 0 && errno == EFAULT) return result;
    if (MeansDescriptor(path, flags)) {
      struct stat status;
      if (result == 0 && Configured() &&
          ioas::SystemCall(SYS_newfstatat, dirfd, "", &status, AT_EMPTY_PATH) == 0 &&
          StatOfDescriptor(dirfd, &status)) {
        *out = ToStatx(status);
      }
      return result;
    }
  }
  return RoutedCall(dirfd, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, next, [&](vfs::NodeId node) {
    const struct statx status = ToStatx(StatOfNode(node));
    return CopyOut(out, &status, sizeof(status));
  });
}

}  // namespace compat::preload
