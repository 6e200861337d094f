// __xstat() and its relatives: what programs call that were linked against a libc before 2.33. Its
// headers do not declare them any more.
#include "compat/preload/next.h"
#include "compat/preload/paths/stat_calls.h"

namespace compat::preload {
namespace {

using XstatFunction = int(int, const char*, struct stat*);
using FxstatFunction = int(int, int, struct stat*);
using FxstatatFunction = int(int, int, const char*, struct stat*, int);

template <FunctionName kName>
int CallXstat(int version, const char* path, int flags, struct stat* out) {
  return StatPath(AT_FDCWD, path, flags, out, [=](int /*dirfd*/, const char* next_path) {
    return Next<kName, XstatFunction>()(version, next_path, out);
  });
}

template <FunctionName kName>
int CallFxstatat(int version, int dirfd, const char* path, struct stat* out, int flags) {
  return StatAt(dirfd, path, flags, out, [=](int next_dirfd, const char* next_path) {
    return Next<kName, FxstatatFunction>()(version, next_dirfd, next_path, out, flags);
  });
}

}  // namespace

COMPAT_INTERPOSE int __xstat(int version, const char* path, struct stat* out) noexcept {
  return CallXstat<"__xstat">(version, path, 0, out);
}

COMPAT_INTERPOSE int __xstat64(int version, const char* path, struct stat* out) noexcept {
  return CallXstat<"__xstat64">(version, path, 0, out);
}

COMPAT_INTERPOSE int __lxstat(int version, const char* path, struct stat* out) noexcept {
  return CallXstat<"__lxstat">(version, path, AT_SYMLINK_NOFOLLOW, out);
}

COMPAT_INTERPOSE int __lxstat64(int version, const char* path, struct stat* out) noexcept {
  return CallXstat<"__lxstat64">(version, path, AT_SYMLINK_NOFOLLOW, out);
}

COMPAT_INTERPOSE int __fxstat(int version, int fd, struct stat* out) noexcept {
  return StatDescriptor(fd, out, Next<"__fxstat", FxstatFunction>()(version, fd, out));
}

COMPAT_INTERPOSE int __fxstat64(int version, int fd, struct stat* out) noexcept {
  return StatDescriptor(fd, out, Next<"__fxstat64", FxstatFunction>()(version, fd, out));
}

COMPAT_INTERPOSE int __fxstatat(int version, int dirfd, const char* path, struct stat* out,
                                int flags) noexcept {
  return CallFxstatat<"__fxstatat">(version, dirfd, path, out, flags);
}

COMPAT_INTERPOSE int __fxstatat64(int version, int dirfd, const char* path, struct stat* out,
                                  int flags) noexcept {
  return CallFxstatat<"__fxstatat64">(version, dirfd, path, out, flags);
}

}  // namespace compat::preload
