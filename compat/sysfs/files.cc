#include "compat/sysfs/files.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <system_error>

#include "ioas/base/system_call.h"

namespace compat::sysfs {
namespace {

// struct linux_dirent64 of the kernel, which has no header for it.
struct DirectoryEntry {
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[];
};

int Open(const Path& path, int flags) {
  return static_cast<int>(
      ioas::SystemCall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC | flags));
}

// What the link at `path` reads, in `buffer`; empty if there is none.
std::string_view ReadLinkInto(const Path& path, std::span<char> buffer) {
  const long size =
      ioas::SystemCall(SYS_readlinkat, AT_FDCWD, path.c_str(), buffer.data(), buffer.size());
  return {buffer.data(), static_cast<size_t>(std::max(size, 0L))};
}

// Writes `text` into `out` as a C string, if it fits.
std::string_view CopyText(std::string_view text, std::span<char> out) {
  if (text.size() >= out.size()) text = {};
  out[text.copy(out.data(), text.size())] = '\0';
  return {out.data(), text.size()};
}

}  // namespace

Path::Path(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int size = std::vsnprintf(text_, sizeof(text_), format, arguments);
  va_end(arguments);
  if (size < 0 || static_cast<size_t>(size) >= sizeof(text_)) text_[0] = '\0';
}

bool Exists(const Path& path) {
  return ioas::SystemCall(SYS_faccessat, AT_FDCWD, path.c_str(), F_OK) == 0;
}

std::string_view ReadLine(const Path& path, std::span<char> out) {
  out[0] = '\0';
  const int fd = Open(path, 0);
  if (fd < 0) return {};
  const long size = ioas::SystemCall(SYS_read, fd, out.data(), out.size() - 1);
  ioas::SystemCall(SYS_close, fd);
  if (size <= 0) return {};
  const std::string_view text(out.data(), static_cast<size_t>(size));
  const std::string_view line = text.substr(0, text.find('\n'));
  out[line.size()] = '\0';
  return line;
}

std::string_view ReadLink(const Path& path, std::span<char> out) {
  char target[PATH_MAX];
  return CopyText(ReadLinkInto(path, target), out);
}

std::string_view ReadLinkName(const Path& path, std::span<char> out) {
  char target[PATH_MAX];
  const std::string_view text = ReadLinkInto(path, target);
  return CopyText(text.substr(text.rfind('/') + 1), out);
}

std::optional<uint32_t> ParseNumber(std::string_view text) {
  uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return number;
}

Directory::Directory(const Path& path) : fd_(Open(path, O_DIRECTORY)) {}

Directory::~Directory() {
  if (fd_ >= 0) ioas::SystemCall(SYS_close, fd_);
}

const char* Directory::Next() {
  while (fd_ >= 0) {
    if (position_ == size_) {
      size_ = ioas::SystemCall(SYS_getdents64, fd_, buffer_, sizeof(buffer_));
      position_ = 0;
      if (size_ <= 0) break;
    }
    const auto* const entry = reinterpret_cast<const DirectoryEntry*>(buffer_ + position_);
    position_ += entry->size;
    const std::string_view name(entry->name);
    if (name != "." && name != "..") return entry->name;
  }
  size_ = position_ = 0;
  return nullptr;
}

}  // namespace compat::sysfs
