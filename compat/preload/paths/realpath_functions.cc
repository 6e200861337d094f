// realpath(), its fortified form and canonicalize_file_name().
#include <climits>
#include <cstdlib>
#include <cstring>

#include "compat/preload/next.h"
#include "compat/preload/paths/routed_call.h"
#include "compat/preload/paths/user_memory.h"

namespace compat::preload {
namespace {

using RealpathFunction = char*(const char*, char*);
using RealpathChkFunction = char*(const char*, char*, size_t);
using CanonicalizeFunction = char*(const char*);

// As realpath(path, out); `next(path)` is the function that the program called.
template <typename NextCall>
char* RealPath(const char* path, char* out, NextCall next) {
  if (!Configured() || !IsPathReadable(path) || !PathMayMatter(AT_FDCWD, path)) return next(path);
  const int saved_errno = errno;
  vfs::Resolution resolution;
  const Destination destination = Route(AT_FDCWD, path, true, &resolution);
  errno = saved_errno;
  switch (destination) {
    case Destination::kUnchanged:
      return next(path);
    case Destination::kElsewhere:
      return next(resolution.path);
    case Destination::kError:
      errno = resolution.error;
      return nullptr;
    case Destination::kNode:
      break;
  }
  if (out == nullptr) return strdup(resolution.path);
  return std::strcpy(out, resolution.path);  // NOLINT(clang-analyzer-security.insecureAPI.strcpy)
}

}  // namespace

COMPAT_INTERPOSE char* realpath(const char* name, char* resolved) noexcept {
  return RealPath(name, resolved, [resolved](const char* next_path) {
    return Next<"realpath", RealpathFunction>()(next_path, resolved);
  });
}

COMPAT_INTERPOSE char* __realpath_chk(const char* path, char* out, size_t room) {
  const auto next = [=](const char* next_path) {
    return Next<"__realpath_chk", RealpathChkFunction>()(next_path, out, room);
  };
  // It ends the program if there is less room than any path may need.
  return room < PATH_MAX ? next(path) : RealPath(path, out, next);
}

COMPAT_INTERPOSE char* canonicalize_file_name(const char* name) noexcept {
  return RealPath(name, nullptr, [](const char* next_path) {
    return Next<"canonicalize_file_name", CanonicalizeFunction>()(next_path);
  });
}

}  // namespace compat::preload
