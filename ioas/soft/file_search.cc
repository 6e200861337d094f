#include "ioas/soft/file_search.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

bool IsFile(const char* path, const FileIdentity& identity) {
  struct stat found = {};
  return SystemCall(SYS_newfstatat, AT_FDCWD, path, &found, 0) == 0 &&
         FileIdentity{found.st_dev, found.st_ino} == identity;
}

// Opens what the link `path` leads to, which has to be the file still.
Result<int> OpenLink(const char* path, const FileIdentity& identity) {
  const auto open = [path](int access) {
    constexpr int kFlags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    return OpenHidden([=] { return SystemCall(SYS_openat, AT_FDCWD, path, access | kFlags); });
  };
  Result<int> opened = open(O_RDWR);
  if (!opened.ok()) opened = open(O_RDONLY);
  if (!opened.ok()) return opened;
  const Result<FileIdentity> is = IdentityOf(*opened);
  if (is.ok() && *is == identity) return opened;
  CloseHidden(*opened);
  return Error{ENOENT, "the file is another one by now"};
}

// One of the descriptors below `folder`, which is /proc/PID/fd.
Result<int> OpenFrom(const char* folder, const FileIdentity& identity) {
  Result<int> found = Error{ENOENT, "no process has the file open"};
  const Result<int> listed = OpenHidden([folder] {
    return SystemCall(SYS_openat, AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  });
  if (!listed.ok()) return found;
  alignas(dirent64) char entries[2048];
  for (long size = 1; size > 0 && !found.ok();) {
    size = SystemCall(SYS_getdents64, *listed, entries, sizeof(entries));
    for (long at = 0; at < size && !found.ok();) {
      const auto* const entry = reinterpret_cast<const dirent64*>(entries + at);
      at += entry->d_reclen;
      char path[64];
      std::snprintf(path, sizeof(path), "%.32s/%.16s", folder, entry->d_name);
      // Folders among them are "." and "..".
      if (entry->d_type != DT_DIR && IsFile(path, identity)) found = OpenLink(path, identity);
    }
  }
  CloseHidden(*listed);
  return found;
}

// Reads lines of this process's memory map.
class MemoryMap {
 public:
  MemoryMap()
      : fd_(OpenHidden([] {
          return SystemCall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
        })) {}
  ~MemoryMap() {
    if (fd_.ok()) CloseHidden(*fd_);
  }
  MemoryMap(const MemoryMap&) = delete;
  MemoryMap& operator=(const MemoryMap&) = delete;

  // The next line, as much of it as matters; null at the end.
  const char* Next() {
    size_t length = 0;
    for (char byte = 0; Take(byte);) {
      if (byte == '\n') {
        line_[length] = '\0';
        return line_;
      }
      if (length < sizeof(line_) - 1) line_[length++] = byte;
    }
    return nullptr;
  }

 private:
  bool Take(char& byte) {
    if (at_ == size_) {
      size_ = fd_.ok() ? SystemCall(SYS_read, *fd_, buffer_, sizeof(buffer_)) : 0;
      at_ = 0;
    }
    if (size_ <= 0) return false;
    byte = buffer_[at_++];
    return true;
  }

  Result<int> fd_;
  char buffer_[4096];
  char line_[128];
  long at_ = 0;
  long size_ = 0;
};

struct Area {
  uint64_t first;
  uint64_t end;
  bool is_shared;
  FilePiece piece;
};

std::optional<Area> ParseArea(const char* line) {
  Area area = {};
  char permissions[5] = {};
  unsigned major = 0;
  unsigned minor = 0;
  const int fields =
      std::sscanf(line,  // NOLINT(cert-err34-c): the kernel's own format
                  "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &area.first, &area.end,
                  permissions, &area.piece.offset, &major, &minor, &area.piece.identity.inode);
  if (fields != 7) return std::nullopt;
  area.is_shared = permissions[3] == 's';
  area.piece.identity.device = makedev(major, minor);
  return area;
}

}  // namespace

Result<FileIdentity> IdentityOf(int fd) {
  struct stat found = {};
  if (SystemCall(SYS_fstat, fd, &found) != 0) return Error{EBADF, "the descriptor is not open"};
  return FileIdentity{found.st_dev, found.st_ino};
}

Result<int> OpenAgain(int fd) {
  const Result<FileIdentity> identity = IdentityOf(fd);
  if (!identity.ok()) return identity.error();
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  return OpenLink(path, *identity);
}

Result<int> OpenByIdentity(ProcessTable processes, const FileIdentity& identity) {
  Result<int> found = OpenFrom("/proc/self/fd", identity);
  for (uint32_t index = 0; index < kMaxProcesses && !found.ok(); ++index) {
    const ProcessIdentity process = processes.identity(index);
    if (process.pid == 0) continue;
    char folder[32];
    std::snprintf(folder, sizeof(folder), "/proc/%d/fd", process.pid);
    found = OpenFrom(folder, identity);
  }
  return found;
}

std::optional<FilePiece> FileBehind(uint64_t user_address, uint64_t size) {
  MemoryMap map;
  std::optional<FilePiece> piece;
  uint64_t next = user_address;
  const uint64_t end = user_address + size;
  while (const char* line = map.Next()) {
    const std::optional<Area> area = ParseArea(line);
    if (!area || area->end <= next) continue;
    if (area->first > next || !area->is_shared) return std::nullopt;
    const uint64_t offset = area->piece.offset + (next - area->first);
    if (!piece) piece = FilePiece{area->piece.identity, offset};
    const bool continues =
        area->piece.identity == piece->identity && offset == piece->offset + (next - user_address);
    if (!continues) return std::nullopt;
    next = area->end;
    if (next >= end) return piece;
  }
  return std::nullopt;
}

}  // namespace ioas::soft
