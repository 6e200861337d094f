#include "compat/preload/paths/descriptor_link.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <string_view>

#include "compat/preload/paths/descriptor_nodes.h"
#include "compat/preload/paths/route.h"
#include "compat/preload/session.h"
#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

// The longest spelling of a process's descriptor directory that is recognised.
constexpr size_t kMaxDirectory = 256;

// Returns the number that `name` is as the kernel writes it, or -1.
int ParseDescriptor(std::string_view name) {
  if (name.empty() || name.size() > 9 || (name.size() > 1 && name[0] == '0')) return -1;
  int number = 0;
  for (const char digit : name) {
    if (digit < '0' || digit > '9') return -1;
    number = number * 10 + (digit - '0');
  }
  return number;
}

bool IsDescriptorDirectory(int dirfd, std::string_view directory) {
  char path[kMaxDirectory];
  if (directory.empty()) directory = ".";
  if (directory.size() >= sizeof(path)) return false;
  std::memcpy(path, directory.data(), directory.size());
  path[directory.size()] = '\0';
  struct stat status;
  struct stat own;
  if (ioas::SystemCall(SYS_newfstatat, dirfd, path, &status, 0) != 0) return false;
  if (ioas::SystemCall(SYS_newfstatat, AT_FDCWD, "/proc/self/fd", &own, 0) != 0) return false;
  return status.st_dev == own.st_dev && status.st_ino == own.st_ino;
}

size_t ShownPath(int fd, std::span<char> out) {
  if (DescriptorPath(fd, out.data(), out.size())) return std::strlen(out.data());
  const RememberedNode remembered = NodeOfDescriptor(fd);
  return remembered.is_placeholder ? CurrentView().Path(remembered.node, out) : 0;
}

}  // namespace

size_t DescriptorLink(int dirfd, const char* path, std::span<char> out) {
  const std::string_view whole(path);
  const size_t slash = whole.rfind('/');
  const bool has_directory = slash != std::string_view::npos;
  const int fd = ParseDescriptor(has_directory ? whole.substr(slash + 1) : whole);
  if (fd < 0) return 0;
  const size_t size = ShownPath(fd, out);
  if (size == 0) return 0;
  return IsDescriptorDirectory(dirfd, has_directory ? whole.substr(0, slash + 1) : "") ? size : 0;
}

}  // namespace compat::preload
