// fopen() and freopen(), with and without 64.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "compat/preload/next.h"
#include "compat/preload/paths/node_open.h"

namespace compat::preload {
namespace {

using FopenFunction = FILE*(const char*, const char*);
using FreopenFunction = FILE*(const char*, const char*, FILE*);

// The flags that fopen() opens with for `mode`, or -EINVAL.
int FlagsOfMode(const char* mode) {
  int flags = 0;
  switch (mode[0]) {
    case 'r':
      flags = O_RDONLY;
      break;
    case 'w':
      flags = O_WRONLY | O_CREAT | O_TRUNC;
      break;
    case 'a':
      flags = O_WRONLY | O_CREAT | O_APPEND;
      break;
    default:
      return -EINVAL;
  }
  // What follows a comma names a character set.
  for (const char* letter = mode + 1; *letter != '\0' && *letter != ','; ++letter) {
    if (*letter == '+') flags = (flags & ~O_ACCMODE) | O_RDWR;
    if (*letter == 'x') flags |= O_EXCL;
    if (*letter == 'e') flags |= O_CLOEXEC;
  }
  return flags;
}

FILE* Fail(int error) {
  errno = error;
  return nullptr;
}

// Opens `path` by `next(path)`, or, if it is a node, hands a descriptor for it to `wrap(fd)`.
template <typename NextCall, typename WrapCall>
FILE* OpenStream(const char* path, const char* mode, NextCall next, WrapCall wrap) {
  if (!Configured() || !IsPathReadable(path) || !PathMayMatter(AT_FDCWD, path)) return next(path);
  const int saved_errno = errno;
  const int flags = FlagsOfMode(mode);
  vfs::Resolution resolution;
  const Destination destination = Route(AT_FDCWD, path, (flags & O_EXCL) == 0, &resolution);
  errno = saved_errno;
  if (flags < 0 || destination == Destination::kUnchanged) return next(path);
  if (destination == Destination::kElsewhere) return next(resolution.path);
  if (destination == Destination::kError) return Fail(resolution.error);
  const int fd = OpenNode(resolution.node, flags);
  return fd < 0 ? Fail(-fd) : wrap(fd);
}

template <FunctionName kName>
FILE* CallFopen(const char* path, const char* mode) {
  return OpenStream(
      path, mode,
      [=](const char* next_path) { return Next<kName, FopenFunction>()(next_path, mode); },
      [=](int fd) {
        FILE* const stream = fdopen(fd, mode);
        if (stream == nullptr) close(fd);
        return stream;
      });
}

// A stream that exists gets the node's descriptor put in the place of one of /dev/null: there is no
// path by which libc itself could open the node.
template <FunctionName kName>
FILE* CallFreopen(const char* path, const char* mode, FILE* stream) {
  const auto next = [=](const char* next_path) {
    return Next<kName, FreopenFunction>()(next_path, mode, stream);
  };
  if (path == nullptr) return next(path);
  return OpenStream(path, mode, next, [=](int fd) {
    FILE* reopened = next("/dev/null");
    if (reopened != nullptr && dup2(fd, fileno(reopened)) < 0) {
      std::fclose(reopened);
      reopened = nullptr;
    }
    close(fd);
    return reopened;
  });
}

}  // namespace

COMPAT_INTERPOSE FILE* fopen(const char* filename, const char* modes) {
  return CallFopen<"fopen">(filename, modes);
}

COMPAT_INTERPOSE FILE* fopen64(const char* filename, const char* modes) {
  return CallFopen<"fopen64">(filename, modes);
}

COMPAT_INTERPOSE FILE* freopen(const char* filename, const char* modes, FILE* stream) {
  return CallFreopen<"freopen">(filename, modes, stream);
}

COMPAT_INTERPOSE FILE* freopen64(const char* filename, const char* modes, FILE* stream) {
  return CallFreopen<"freopen64">(filename, modes, stream);
}

}  // namespace compat::preload
