#include "tools/daemon/remote/maker.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>

namespace tools::daemon::remote {
namespace {

constexpr size_t kPage = 4096;
constexpr std::string_view kNodes = "/dev/vfio/";

int64_t OrErrno(int64_t result) { return result < 0 ? -errno : result; }

// Whether a path leads to a node below /dev/vfio, whatever links there are.
bool IsNode(std::string_view path) {
  return path.starts_with(kNodes) && path.find("/..") == std::string_view::npos &&
         path.find('\0') == std::string_view::npos;
}

}  // namespace

bool Maker::Prepare() {
  void* const room =
      mmap(nullptr, kMaxBytes + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return false;
  bytes_end_ = static_cast<std::byte*>(room) + kMaxBytes;
  return mprotect(room, kMaxBytes, PROT_READ | PROT_WRITE) == 0;
}

int64_t Maker::Note(int64_t fd) {
  if (fd >= 0 && fd < kDescriptors) descriptors_[fd] = true;
  return fd;
}

int64_t Maker::Open(std::span<const std::byte> path) {
  char name[PATH_MAX] = "";
  if (path.size() >= sizeof(name)) return -ENAMETOOLONG;
  std::memcpy(name, path.data(), path.size());
  if (!IsNode({name, path.size()})) return -EACCES;
  return Note(OrErrno(open(name, O_RDWR | O_CLOEXEC)));
}

int64_t Maker::Ioctl(const Call& call, uint64_t argument) {
  const int64_t result = OrErrno(ioctl(call.fd, call.request, argument));
  return call.request == VFIO_GROUP_GET_DEVICE_FD ? Note(result) : result;
}

int64_t Maker::IoctlBytes(const Call& call, std::span<const std::byte> in, Answer& answer,
                          std::byte* out) {
  std::byte* const bytes = bytes_end_ - in.size();
  if (!in.empty()) std::memcpy(bytes, in.data(), in.size());
  const int64_t result = Ioctl(call, reinterpret_cast<uint64_t>(bytes));
  if (!in.empty()) std::memcpy(out, bytes, in.size());
  answer.size = static_cast<uint32_t>(in.size());
  return result;
}

int64_t Maker::Read(const Call& call, Answer& answer, std::byte* out) {
  if (call.length > kMaxBytes) return -EINVAL;
  int64_t count = 0;
  if (call.operation == Operation::kPread) {
    count = OrErrno(pread(call.fd, out, call.length, static_cast<off_t>(call.argument)));
  } else {
    count = memory_.Read(call.argument, {out, call.length});
  }
  if (count > 0) answer.size = static_cast<uint32_t>(count);
  return count;
}

int64_t Maker::OnDescriptor(const Call& call, std::span<const std::byte> in, Answer& answer,
                            std::byte* out) {
  if (!IsNoted(call.fd)) return -EBADF;
  switch (call.operation) {
    case Operation::kIoctl:
      return Ioctl(call, call.argument);
    case Operation::kIoctlBytes:
      return IoctlBytes(call, in, answer, out);
    case Operation::kClose:
      descriptors_[call.fd] = false;
      return OrErrno(close(call.fd));
    case Operation::kPread:
      return Read(call, answer, out);
    case Operation::kPwrite:
      return OrErrno(pwrite(call.fd, in.data(), in.size(), static_cast<off_t>(call.argument)));
    default:
      return Note(OrErrno(dup(call.fd)));
  }
}

int64_t Maker::OnMemory(const Call& call, std::span<const std::byte> in, Answer& answer,
                        std::byte* out) {
  switch (call.operation) {
    case Operation::kMapMemory:
      return memory_.Map(call.argument, call.length, call.protection, call.is_shared != 0);
    case Operation::kUnmapMemory:
      return memory_.Unmap(call.argument, call.length);
    case Operation::kReadMemory:
      return Read(call, answer, out);
    default:
      return memory_.Write(call.argument, in);
  }
}

Answer Maker::Make(const Call& call, std::span<const std::byte> in, std::byte* out) {
  Answer answer{};
  int64_t result = -ENOSYS;
  switch (call.operation) {
    case Operation::kOpen:
      result = Open(in);
      break;
    case Operation::kIoctl:
    case Operation::kIoctlBytes:
    case Operation::kClose:
    case Operation::kPread:
    case Operation::kPwrite:
    case Operation::kDup:
      result = OnDescriptor(call, in, answer, out);
      break;
    case Operation::kMapMemory:
    case Operation::kUnmapMemory:
    case Operation::kReadMemory:
    case Operation::kWriteMemory:
      result = OnMemory(call, in, answer, out);
      break;
    case Operation::kEventfd:
      result = Note(OrErrno(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
      break;
    case Operation::kFork:
    case Operation::kExit:
      break;
  }
  answer.result = result < 0 ? -1 : result;
  answer.error = result < 0 ? static_cast<uint32_t>(-result) : 0;
  return answer;
}

}  // namespace tools::daemon::remote
