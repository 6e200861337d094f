#include "compat/kernel/shared_memory.h"

#include <fcntl.h>

#include <cerrno>
#include <optional>

#include "compat/sysfs/files.h"
#include "ioas/soft/file_search.h"

namespace compat::kernel {

using ioas::FileIdentity;
using ioas::kernel::FileMemory;
using ioas::kernel::SystemCalls;

namespace {

constexpr ioas::Error kUnknown = {ENOENT, "the memory is no file's that the process has open"};

bool IsOf(int fd, const FileIdentity& file) {
  const ioas::Result<FileIdentity> found = ioas::soft::IdentityOf(fd);
  return found.ok() && *found == file;
}

// A duplicate of `fd` if that is the file's, or a negative errno. Another thread may have closed it
// meanwhile and opened something else.
long DuplicateOf(SystemCalls& calls, int fd, const FileIdentity& file) {
  if (!IsOf(fd, file)) return -ENOENT;
  const long duplicate = calls(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0 || IsOf(static_cast<int>(duplicate), file)) return duplicate;
  calls(SYS_close, duplicate);
  return -ENOENT;
}

// A duplicate of one of this process's descriptors, or a negative errno.
long FindDescriptor(SystemCalls& calls, const FileIdentity& file) {
  sysfs::Directory descriptors(sysfs::Path("/proc/self/fd"));
  while (const char* const name = descriptors.Next()) {
    const std::optional<uint32_t> fd = sysfs::ParseNumber(name);
    if (!fd) continue;
    const long duplicate = DuplicateOf(calls, static_cast<int>(*fd), file);
    if (duplicate != -ENOENT) return duplicate;
  }
  return -ENOENT;
}

}  // namespace

ioas::Result<FileMemory> SharedMemory::Find(uint64_t user_address, uint64_t size) {
  const auto piece = ioas::soft::FileBehind(user_address, size);
  if (!piece) return kUnknown;
  const long fd = FindDescriptor(calls_, piece->identity);
  if (fd < 0) return kUnknown;
  return FileMemory{.fd = static_cast<int>(fd), .offset = piece->offset};
}

}  // namespace compat::kernel
