// getxattr(), listxattr() and their forms that do not follow links: `ls -l` asks every file for
// extended attributes. Nodes have none.
#include <sys/xattr.h>

#include "compat/preload/next.h"
#include "compat/preload/paths/routed_call.h"

namespace compat::preload {
namespace {

using GetxattrFunction = ssize_t(const char*, const char*, void*, size_t);
using ListxattrFunction = ssize_t(const char*, char*, size_t);

template <FunctionName kName>
ssize_t CallGetxattr(const char* path, bool follow, const char* name, void* value, size_t size) {
  return RoutedCall(
      AT_FDCWD, path, follow,
      [=](int /*dirfd*/, const char* next_path) {
        return Next<kName, GetxattrFunction>()(next_path, name, value, size);
      },
      [](vfs::NodeId /*node*/) { return -EOPNOTSUPP; });
}

template <FunctionName kName>
ssize_t CallListxattr(const char* path, bool follow, char* list, size_t size) {
  return RoutedCall(
      AT_FDCWD, path, follow,
      [=](int /*dirfd*/, const char* next_path) {
        return Next<kName, ListxattrFunction>()(next_path, list, size);
      },
      [](vfs::NodeId /*node*/) { return 0; });
}

}  // namespace

COMPAT_INTERPOSE ssize_t getxattr(const char* path, const char* name, void* value,
                                  size_t size) noexcept {
  return CallGetxattr<"getxattr">(path, true, name, value, size);
}

COMPAT_INTERPOSE ssize_t lgetxattr(const char* path, const char* name, void* value,
                                   size_t size) noexcept {
  return CallGetxattr<"lgetxattr">(path, false, name, value, size);
}

COMPAT_INTERPOSE ssize_t listxattr(const char* path, char* list, size_t size) noexcept {
  return CallListxattr<"listxattr">(path, true, list, size);
}

COMPAT_INTERPOSE ssize_t llistxattr(const char* path, char* list, size_t size) noexcept {
  return CallListxattr<"llistxattr">(path, false, list, size);
}

}  // namespace compat::preload
