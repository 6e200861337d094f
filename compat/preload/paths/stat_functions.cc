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

COMPAT_INTERPOSE int stat(const char* file, struct stat* buf) noexcept {
  return CallStat<"stat">(file, 0, buf);
}

COMPAT_INTERPOSE int stat64(const char* file, struct stat64* buf) noexcept {
  return CallStat<"stat64">(file, 0, buf);
}

COMPAT_INTERPOSE int lstat(const char* file, struct stat* buf) noexcept {
  return CallStat<"lstat">(file, AT_SYMLINK_NOFOLLOW, buf);
}

COMPAT_INTERPOSE int lstat64(const char* file, struct stat64* buf) noexcept {
  return CallStat<"lstat64">(file, AT_SYMLINK_NOFOLLOW, buf);
}

COMPAT_INTERPOSE int fstat(int fd, struct stat* buf) noexcept {
  return CallFstat<"fstat">(fd, buf);
}

COMPAT_INTERPOSE int fstat64(int fd, struct stat64* buf) noexcept {
  return CallFstat<"fstat64">(fd, buf);
}

COMPAT_INTERPOSE int fstatat(int fd, const char* file, struct stat* buf, int flag) noexcept {
  return CallFstatat<"fstatat">(fd, file, buf, flag);
}

COMPAT_INTERPOSE int fstatat64(int fd, const char* file, struct stat64* buf, int flag) noexcept {
  return CallFstatat<"fstatat64">(fd, file, buf, flag);
}

COMPAT_INTERPOSE int statx(int dirfd, const char* path, int flags, unsigned mask,
                           struct statx* buf) noexcept {
  const auto next = [=](int next_dirfd, const char* next_path) {
    return Next<"statx", StatxFunction>()(next_dirfd, next_path, flags, mask, buf);
  };
  if ((flags & AT_EMPTY_PATH) != 0) {
    const int result = next(dirfd, path);
    if (result != 0 && errno == EFAULT) return result;
    if (MeansDescriptor(path, flags)) {
      struct stat status;
      if (result == 0 && Configured() &&
          ioas::SystemCall(SYS_newfstatat, dirfd, "", &status, AT_EMPTY_PATH) == 0 &&
          StatOfDescriptor(dirfd, &status)) {
        *buf = ToStatx(status);
      }
      return result;
    }
  }
  return RoutedCall(dirfd, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, next, [&](vfs::NodeId node) {
    const struct statx status = ToStatx(StatOfNode(node));
    return CopyOut(buf, &status, sizeof(status));
  });
}

}  // namespace compat::preload
