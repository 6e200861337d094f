#include "compat/kernel/identity.h"

#include <fcntl.h>

#include <charconv>
#include <cstdio>
#include <string_view>

namespace compat::kernel {
namespace {

using ioas::kernel::SystemCalls;

// The guard is the first byte; identities begin far behind it.
constexpr int64_t kIdentities = int64_t{1} << 21;
constexpr uint64_t kMaxHost = uint64_t{1} << 41;

struct flock LockOf(int64_t start, int64_t length) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

int64_t OffsetOf(const Identity& identity) {
  return static_cast<int64_t>(identity.host * kMaxIdentityNumber + identity.number);
}

// Whether somebody else holds any of `lock`. In doubt somebody does: what is taken for lost is
// given to others.
bool IsHeld(SystemCalls& calls, int fd, struct flock lock) {
  return calls(SYS_fcntl, fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

// Takes a word off the front of `text`.
std::string_view TakeWord(std::string_view& text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return text = {};
  text.remove_prefix(first);
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

// Reads "lock: 1: OFDLCK  ADVISORY  WRITE -1 00:06:88 START END".
Identity ParseLock(std::string_view line) {
  const size_t kind = line.find("OFDLCK");
  if (!line.starts_with("lock:") || kind == std::string_view::npos) return {};
  line.remove_prefix(kind);
  for (int skipped = 0; skipped < 5; ++skipped) TakeWord(line);
  const std::string_view start = TakeWord(line);
  int64_t offset = 0;
  std::from_chars(start.data(), start.data() + start.size(), offset);
  if (offset < kIdentities) return {};
  return {static_cast<uint64_t>(offset) / kMaxIdentityNumber,
          static_cast<uint32_t>(offset % kMaxIdentityNumber)};
}

}  // namespace

ioas::Status HoldIdentity(SystemCalls& calls, int fd, const Identity& identity) {
  if (identity.host == 0 || identity.host >= kMaxHost) {
    return ioas::Error{EOVERFLOW, "the host's inode number is beyond what a lock can say"};
  }
  struct flock lock = LockOf(OffsetOf(identity), 1);
  const long result = calls(SYS_fcntl, fd, F_OFD_SETLK, &lock);
  if (result < 0) return ioas::Error{static_cast<int>(-result), "cannot lock the node"};
  return {};
}

bool IsIdentityHeld(SystemCalls& calls, int fd, const Identity& identity) {
  return IsHeld(calls, fd, LockOf(OffsetOf(identity), 1));
}

bool IsAnyIdentityHeld(SystemCalls& calls, int fd) {
  return IsHeld(calls, fd, LockOf(kIdentities, 0));
}

ioas::Result<Identity> ReadIdentity(SystemCalls& calls, int fd) {
  char path[40];
  std::snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
  const long info = calls(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (info < 0) return ioas::Error{static_cast<int>(-info), "the locks cannot be looked at"};
  char buffer[1024];
  const long size = calls(SYS_read, info, buffer, sizeof(buffer));
  calls(SYS_close, info);
  if (size < 0) return ioas::Error{ENOMEM, "the locks cannot be read"};
  std::string_view text(buffer, static_cast<size_t>(size));
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (const Identity identity = ParseLock(line); identity.host != 0) return identity;
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return Identity{};
}

ioas::Status HoldGuard(SystemCalls& calls, int fd) {
  struct flock lock = LockOf(0, 1);
  const long result = calls(SYS_fcntl, fd, F_OFD_SETLK, &lock);
  if (result == 0) return {};
  if (result == -EAGAIN || result == -EACCES) {
    return ioas::Error{EBUSY, "another program has the group open"};
  }
  return ioas::Error{ENOMEM, "cannot lock the node"};
}

}  // namespace compat::kernel
