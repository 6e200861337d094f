#include "ioas/soft/nvme/block_image.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/syscall.h>

#include <algorithm>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

// Zeroes to write where the file system has no way to make them.
constexpr size_t kZeroesSize = 64 << 10;
std::byte zeroes[kZeroesSize];

constexpr Error kEndsBefore{ENODATA, "the image ends before"};

Error ErrorOf(long result, const char* reason) { return {static_cast<int>(-result), reason}; }

bool IsUnsupported(long result) {
  return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV;
}

}  // namespace

BlockImage::~BlockImage() { CloseHidden(descriptor_); }

Status BlockImage::Open() {
  constexpr int kFlags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_LARGEFILE;
  const auto open = [this](int access) {
    return OpenHidden(
        [=, this] { return SystemCall(SYS_openat, AT_FDCWD, path_, kFlags | access); });
  };
  Result<int> hidden = open(O_RDWR);
  const int code = hidden.error().code;
  const bool may_read = code == EACCES || code == EROFS || code == EPERM || code == ETXTBSY;
  if (may_read) hidden = open(O_RDONLY);
  read_only_ = may_read && hidden.ok();
  if (!hidden.ok()) return Error{hidden.error().code, "the image cannot be opened"};
  descriptor_ = *hidden;
  return {};
}

template <typename... Arguments>
long BlockImage::Call(long number, Arguments... arguments) {
  bool reopened = false;
  while (true) {
    if (descriptor_ < 0) {
      const Status status = Open();
      if (!status.ok()) return -status.error().code;
    }
    const long result = SystemCall(number, descriptor_, arguments...);
    if (result == -EINTR) continue;
    if (result != -EBADF || reopened) return result;
    descriptor_ = -1;
    reopened = true;
  }
}

Result<uint64_t> BlockImage::Size() {
  // Unlike fstat(2), this knows the size of a block device too.
  const long end = Call(SYS_lseek, 0L, SEEK_END);
  if (end < 0) return ErrorOf(end, "the image's size cannot be told");
  return static_cast<uint64_t>(end);
}

bool BlockImage::read_only() {
  if (descriptor_ < 0 && !Open().ok()) return false;
  return read_only_;
}

Status BlockImage::Read(uint64_t offset, std::span<std::byte> data) {
  while (!data.empty()) {
    const long count = Call(SYS_pread64, data.data(), data.size(), offset);
    if (count < 0) return ErrorOf(count, "the image cannot be read");
    if (count == 0) return kEndsBefore;
    data = data.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Status BlockImage::RequireWritable(uint64_t offset, uint64_t length) {
  const Result<uint64_t> size = Size();
  if (!size.ok()) return size.error();
  if (read_only_) return Error{EROFS, "the image is read only"};
  if (offset > *size || length > *size - offset) return kEndsBefore;
  return {};
}

Status BlockImage::Write(uint64_t offset, std::span<const std::byte> data) {
  IOAS_RETURN_IF_ERROR(RequireWritable(offset, data.size()));
  while (!data.empty()) {
    const long count = Call(SYS_pwrite64, data.data(), data.size(), offset);
    if (count < 0) return ErrorOf(count, "the image cannot be written");
    if (count == 0) return Error{EIO, "the image takes no bytes"};
    data = data.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Status BlockImage::WriteZeroes(uint64_t offset, uint64_t length, bool deallocate) {
  IOAS_RETURN_IF_ERROR(RequireWritable(offset, length));
  constexpr int kPunchHole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  constexpr int kZeroRange = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  long result = Call(SYS_fallocate, deallocate ? kPunchHole : kZeroRange, offset, length);
  if (!deallocate && IsUnsupported(result)) {
    result = Call(SYS_fallocate, kPunchHole, offset, length);
  }
  if (result == 0) return {};
  if (!IsUnsupported(result)) return ErrorOf(result, "the image cannot be zeroed");
  while (length != 0) {
    const size_t count = std::min<uint64_t>(length, kZeroesSize);
    IOAS_RETURN_IF_ERROR(Write(offset, {zeroes, count}));
    offset += count;
    length -= count;
  }
  return {};
}

Status BlockImage::Discard(uint64_t offset, uint64_t length) {
  IOAS_RETURN_IF_ERROR(RequireWritable(offset, length));
  const long result =
      Call(SYS_fallocate, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  if (result < 0 && !IsUnsupported(result)) return ErrorOf(result, "the image cannot be punched");
  return {};
}

Status BlockImage::Flush() {
  const long result = Call(SYS_fdatasync);
  if (result < 0) return ErrorOf(result, "the image cannot be flushed");
  return {};
}

}  // namespace ioas::soft
