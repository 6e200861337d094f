#include "compat/kernel/find_host.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>

#include "compat/kernel/group_file.h"
#include "compat/kernel/identity.h"
#include "compat/sysfs/files.h"

namespace compat::kernel {
namespace {

using ioas::kernel::SystemCalls;

// How /proc shows the memfd.
constexpr char kHostLink[] = "/memfd:vfio-compat-host";

// Whether `path`, a link in /proc/PID/fd, leads to the host's file `inode`.
bool LeadsTo(SystemCalls& calls, const char* path, uint64_t inode) {
  if (!LeadsToHost(calls, path)) return false;
  struct stat status = {};
  return calls(SYS_newfstatat, AT_FDCWD, path, &status, 0) == 0 && status.st_ino == inode;
}

// Looks for the host's file among the descriptors of process `pid`.
int FindIn(SystemCalls& calls, const char* pid, uint64_t inode) {
  sysfs::Directory descriptors(sysfs::Path("/proc/%s/fd", pid));
  while (const char* const name = descriptors.Next()) {
    const sysfs::Path path("/proc/%s/fd/%s", pid, name);
    if (!LeadsTo(calls, path.c_str(), inode)) continue;
    const long fd = calls(SYS_openat, AT_FDCWD, path.c_str(), O_RDWR | O_CLOEXEC, 0);
    if (fd >= 0) return static_cast<int>(fd);
  }
  return -1;
}

int FindByInode(SystemCalls& calls, uint64_t inode) {
  sysfs::Directory processes(sysfs::Path("/proc"));
  while (const char* const name = processes.Next()) {
    if (name[0] < '0' || name[0] > '9') continue;
    if (const int fd = FindIn(calls, name, inode); fd >= 0) return fd;
  }
  return -1;
}

}  // namespace

bool LeadsToHost(SystemCalls& calls, const char* path) {
  char link[sizeof(kHostLink)] = {};
  const long length = calls(SYS_readlinkat, AT_FDCWD, path, link, sizeof(link) - 1);
  return length == static_cast<long>(sizeof(kHostLink) - 1) && std::strcmp(link, kHostLink) == 0;
}

uint64_t InodeOf(SystemCalls& calls, int fd) {
  struct stat status = {};
  return calls(SYS_fstat, fd, &status) == 0 ? status.st_ino : 0;
}

int FindHostOf(SystemCalls& calls, int fd) {
  struct stat status = {};
  if (calls(SYS_fstat, fd, &status) < 0) return -1;
  if (S_ISSOCK(status.st_mode)) {
    if (!ReadGroupHeader(calls, fd).ok()) return -1;
    GroupContents contents(calls);
    return contents.Read(fd).ok() ? contents.ReleaseHost() : -1;
  }
  if (!S_ISCHR(status.st_mode)) return -1;
  const ioas::Result<Identity> identity = ReadIdentity(calls, fd);
  return identity.ok() && identity->host != 0 ? FindByInode(calls, identity->host) : -1;
}

}  // namespace compat::kernel
