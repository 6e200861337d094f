#include "tools/files/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace tools::files {
namespace {

absl::Status Refusal(const std::string& path, int error) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES) return absl::PermissionDeniedError(message);
  return absl::InvalidArgumentError(message);
}

// Appends to `text` until the end of the file or kMaxBytes + 1 bytes. Returns an errno, or 0.
//
// Not by a stream of the standard library: one throws where read() fails, as of a folder.
int ReadAll(int fd, std::string& text) {
  constexpr size_t kPart = 65536;
  size_t held = 0;
  ssize_t count = 1;
  while (count != 0 && held <= kMaxBytes) {
    text.resize(held + std::min(kPart, kMaxBytes + 1 - held));
    count = read(fd, text.data() + held, text.size() - held);
    if (count < 0 && errno != EINTR) return errno;
    if (count > 0) held += static_cast<size_t>(count);
  }
  text.resize(held);
  return 0;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  // A FIFO without a writer would be waited for otherwise.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Refusal(path, errno);
  std::string text;
  const int error = ReadAll(fd, text);
  close(fd);
  if (error != 0) return Refusal(path, error);
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": larger than ", kMaxBytes, " bytes, the most that is read"));
  }
  return text;
}

}  // namespace tools::files
