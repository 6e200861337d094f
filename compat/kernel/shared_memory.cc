#include "compat/kernel/shared_memory.h"

#include <dirent.h>
#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>

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

// A duplicate of one of the descriptors in `listed`, which is /proc/self/fd, or a negative errno.
long FindDescriptor(SystemCalls& calls, int listed, const FileIdentity& file) {
  alignas(dirent64) char entries[2048];
  while (true) {
    const long size = calls(SYS_getdents64, listed, entries, sizeof(entries));
    if (size <= 0) return -ENOENT;
    for (long at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(entries + at);
      at += entry->d_reclen;
      int fd = -1;
      const char* const name = static_cast<const char*>(entry->d_name);
      std::from_chars(name, name + std::strlen(name), fd);
      const long duplicate = fd < 0 ? -ENOENT : DuplicateOf(calls, fd, file);
      if (duplicate != -ENOENT) return duplicate;
    }
  }
}

}  // namespace

ioas::Result<FileMemory> SharedMemory::Find(uint64_t user_address, uint64_t size) {
  const auto piece = ioas::soft::FileBehind(user_address, size);
  if (!piece) return kUnknown;
  const long listed =
      calls_(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (listed < 0) return kUnknown;
  const long fd = FindDescriptor(calls_, static_cast<int>(listed), piece->identity);
  calls_(SYS_close, listed);
  if (fd < 0) return kUnknown;
  return FileMemory{.fd = static_cast<int>(fd), .offset = piece->offset};
}

}  // namespace compat::kernel
