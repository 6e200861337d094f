// Attributes, links and directories of sysfs, read by system calls of one's own.
#ifndef COMPAT_SYSFS_FILES_H_
#define COMPAT_SYSFS_FILES_H_

#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace compat::sysfs {

// An absolute path.
class Path {
 public:
  // As printf() does. A path that does not fit is empty, and so leads nowhere.
  __attribute__((format(printf, 2, 3))) explicit Path(const char* format, ...);

  const char* c_str() const { return text_; }

 private:
  char text_[PATH_MAX];
};

// Whether there is something at `path`, links followed.
bool Exists(const Path& path);

// Writes the first line of the file at `path` into `out` as a C string, cut off if it does not fit,
// and returns it without its end of line; empty if the file cannot be read.
std::string_view ReadLine(const Path& path, std::span<char> out);

// Writes what the link at `path` reads into `out` as a C string, and returns it; empty if there is
// no such link, or if it does not fit.
std::string_view ReadLink(const Path& path, std::span<char> out);

// Writes the last component of what the link at `path` reads into `out` as a C string, and returns
// it; empty if there is no such link, or if the name does not fit.
std::string_view ReadLinkName(const Path& path, std::span<char> out);

// Reads all of `text` as a decimal number that the kernel has written: no sign and no leading zero.
std::optional<uint32_t> ParseNumber(std::string_view text);

// The names in a directory, in no particular order.
class Directory {
 public:
  // Opens the directory at `path`; one that cannot be opened has no names.
  explicit Directory(const Path& path);
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // The next name, without "." and ".."; null at the end. Good until the next call.
  const char* Next();

 private:
  int fd_;
  long size_ = 0;      // of what is in `buffer_`
  long position_ = 0;  // of the next entry in it
  alignas(uint64_t) char buffer_[2048];
};

}  // namespace compat::sysfs

#endif  // COMPAT_SYSFS_FILES_H_
