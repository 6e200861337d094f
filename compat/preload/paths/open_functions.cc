// open(), openat() and creat(), with and without 64, and the fortified forms.
#include <cstdarg>

#include "compat/preload/next.h"
#include "compat/preload/paths/node_open.h"

namespace compat::preload {
namespace {

using OpenFunction = int(const char*, int, ...);
using OpenatFunction = int(int, const char*, int, ...);
using Open2Function = int(const char*, int);
using Openat2Function = int(int, const char*, int);
using CreatFunction = int(const char*, mode_t);

bool TakesMode(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }

// The mode behind the last named argument, if the flags say that there is one.
mode_t ModeArgument(int flags, va_list arguments) {
  return TakesMode(flags) ? va_arg(arguments, mode_t) : 0;
}

template <FunctionName kName>
int CallOpen(const char* path, int flags, mode_t mode) {
  return OpenPath(AT_FDCWD, path, flags, [=](int /*dirfd*/, const char* next_path) {
    return Next<kName, OpenFunction>()(next_path, flags, mode);
  });
}

template <FunctionName kName>
int CallOpenat(int dirfd, const char* path, int flags, mode_t mode) {
  return OpenPath(dirfd, path, flags, [=](int next_dirfd, const char* next_path) {
    return Next<kName, OpenatFunction>()(next_dirfd, next_path, flags, mode);
  });
}

template <FunctionName kName>
int CallOpen2(const char* path, int flags) {
  return OpenPath(AT_FDCWD, path, flags, [=](int /*dirfd*/, const char* next_path) {
    return Next<kName, Open2Function>()(next_path, flags);
  });
}

template <FunctionName kName>
int CallOpenat2(int dirfd, const char* path, int flags) {
  return OpenPath(dirfd, path, flags, [=](int next_dirfd, const char* next_path) {
    return Next<kName, Openat2Function>()(next_dirfd, next_path, flags);
  });
}

template <FunctionName kName>
int CallCreat(const char* path, mode_t mode) {
  return OpenPath(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC,
                  [=](int /*dirfd*/, const char* next_path) {
                    return Next<kName, CreatFunction>()(next_path, mode);
                  });
}

}  // namespace

COMPAT_INTERPOSE int open(const char* file, int oflag, ...) {
  va_list arguments;
  va_start(arguments, oflag);
  const mode_t mode = ModeArgument(oflag, arguments);
  va_end(arguments);
  return CallOpen<"open">(file, oflag, mode);
}

COMPAT_INTERPOSE int open64(const char* file, int oflag, ...) {
  va_list arguments;
  va_start(arguments, oflag);
  const mode_t mode = ModeArgument(oflag, arguments);
  va_end(arguments);
  return CallOpen<"open64">(file, oflag, mode);
}

COMPAT_INTERPOSE int openat(int fd, const char* file, int oflag, ...) {
  va_list arguments;
  va_start(arguments, oflag);
  const mode_t mode = ModeArgument(oflag, arguments);
  va_end(arguments);
  return CallOpenat<"openat">(fd, file, oflag, mode);
}

COMPAT_INTERPOSE int openat64(int fd, const char* file, int oflag, ...) {
  va_list arguments;
  va_start(arguments, oflag);
  const mode_t mode = ModeArgument(oflag, arguments);
  va_end(arguments);
  return CallOpenat<"openat64">(fd, file, oflag, mode);
}

COMPAT_INTERPOSE int __open_2(const char* path, int flags) {
  return CallOpen2<"__open_2">(path, flags);
}

COMPAT_INTERPOSE int __open64_2(const char* path, int flags) {
  return CallOpen2<"__open64_2">(path, flags);
}

COMPAT_INTERPOSE int __openat_2(int dirfd, const char* path, int flags) {
  return CallOpenat2<"__openat_2">(dirfd, path, flags);
}

COMPAT_INTERPOSE int __openat64_2(int dirfd, const char* path, int flags) {
  return CallOpenat2<"__openat64_2">(dirfd, path, flags);
}

COMPAT_INTERPOSE int creat(const char* file, mode_t mode) { return CallCreat<"creat">(file, mode); }

COMPAT_INTERPOSE int creat64(const char* file, mode_t mode) {
  return CallCreat<"creat64">(file, mode);
}

}  // namespace compat::preload
