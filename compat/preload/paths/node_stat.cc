#include "compat/preload/paths/node_stat.h"

#include <sys/sysmacros.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "compat/preload/paths/descriptor_nodes.h"
#include "compat/preload/paths/route.h"
#include "compat/preload/session.h"
#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

constexpr mode_t kAnonymousInodeMode = 0600;  // no file type: fs/anon_inodes.c

constexpr mode_t kPermissions = 07777;

// Whose a node is and who may use it: as the real file that is opened in its place, if there is
// one.
void FillOwner(const vfs::View& view, const vfs::Node& node, struct stat* status) {
  char path[PATH_MAX];
  struct stat real;
  if (view.RealFile(node.id, path) &&
      ioas::SystemCall(SYS_newfstatat, AT_FDCWD, path, &real, 0) == 0) {
    status->st_mode = (node.mode & ~kPermissions) | (real.st_mode & kPermissions);
    status->st_uid = real.st_uid;
    status->st_gid = real.st_gid;
    return;
  }
  const bool is_group = node.kind == vfs::NodeKind::kGroup || node.kind == vfs::NodeKind::kCdev;
  status->st_mode = node.mode;
  status->st_uid = is_group ? static_cast<uid_t>(ioas::SystemCall(SYS_geteuid)) : 0;
  status->st_gid = is_group ? static_cast<gid_t>(ioas::SystemCall(SYS_getegid)) : 0;
}

// A group whose devices have been taken away: its node is gone, the open file is not. `path` is
// what the descriptor shows itself as.
void DescribeGoneGroup(const char* path, struct stat* status) {
  const char* const digits = std::strpbrk(path, "0123456789");
  const unsigned long number = digits != nullptr ? std::strtoul(digits, nullptr, 10) : 0;
  status->st_mode = S_IFCHR | 0600;
  status->st_rdev = makedev(vfs::kGroupMajor, number);
  status->st_nlink = 0;
}

void DescribeDevice(struct stat* status) {
  status->st_mode = kAnonymousInodeMode;
  status->st_rdev = 0;
  status->st_nlink = 1;
}

// Describes a descriptor of the library's, which shows itself as `path`.
void DescribeShown(const char* path, struct stat* status) {
  vfs::Resolution resolution;
  if (Route(AT_FDCWD, path, true, &resolution) == Destination::kNode) {
    *status = StatOfNode(resolution.node);
    return;
  }
  if (path[0] == '/') {
    DescribeGoneGroup(path, status);
  } else {
    DescribeDevice(status);
  }
  status->st_size = 0;
  status->st_blocks = 0;
}

statx_timestamp ToStatxTime(const timespec& time) {
  return {.tv_sec = time.tv_sec, .tv_nsec = static_cast<uint32_t>(time.tv_nsec), .__reserved = 0};
}

}  // namespace

struct stat StatOfNode(vfs::NodeId id) {
  const vfs::View view = CurrentView();
  const vfs::Node node = view.Describe(id);
  struct stat status = {};
  ioas::SystemCall(SYS_newfstatat, AT_FDCWD, node.in_dev ? "/dev" : "/sys", &status, 0);
  status.st_ino = node.inode;
  FillOwner(view, node, &status);
  status.st_nlink = node.links;
  status.st_size = static_cast<off_t>(node.size);
  status.st_blocks = 0;
  status.st_rdev = makedev(node.major, node.minor);
  return status;
}

bool StatOfDescriptor(int fd, struct stat* status) {
  const int saved_errno = errno;
  const RememberedNode remembered = fd == AT_FDCWD ? WorkingDirectory() : NodeOfDescriptor(fd);
  char path[vfs::kMaxNodePath];
  bool is_ours = remembered.is_placeholder;
  if (remembered.is_placeholder) {
    *status = StatOfNode(remembered.node);
  } else if (DescriptorPath(fd, path, sizeof(path))) {
    is_ours = true;
    DescribeShown(path, status);
  }
  errno = saved_errno;
  return is_ours;
}

struct statx ToStatx(const struct stat& status) {
  struct statx result = {};
  result.stx_mask = STATX_BASIC_STATS;
  result.stx_blksize = static_cast<uint32_t>(status.st_blksize);
  result.stx_nlink = static_cast<uint32_t>(status.st_nlink);
  result.stx_uid = status.st_uid;
  result.stx_gid = status.st_gid;
  result.stx_mode = static_cast<uint16_t>(status.st_mode);
  result.stx_ino = status.st_ino;
  result.stx_size = static_cast<uint64_t>(status.st_size);
  result.stx_blocks = static_cast<uint64_t>(status.st_blocks);
  result.stx_atime = ToStatxTime(status.st_atim);
  result.stx_ctime = ToStatxTime(status.st_ctim);
  result.stx_mtime = ToStatxTime(status.st_mtim);
  result.stx_rdev_major = major(status.st_rdev);
  result.stx_rdev_minor = minor(status.st_rdev);
  result.stx_dev_major = major(status.st_dev);
  result.stx_dev_minor = minor(status.st_dev);
  return result;
}

}  // namespace compat::preload
