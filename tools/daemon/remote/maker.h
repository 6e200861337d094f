// Makes the calls of vfio-compat-remote.
#ifndef TOOLS_DAEMON_REMOTE_MAKER_H_
#define TOOLS_DAEMON_REMOTE_MAKER_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tools/daemon/remote/calls.h"
#include "tools/daemon/remote/memory.h"

namespace tools::daemon::remote {

class Maker {
 public:
  // Room for the bytes of ioctl calls, with nothing behind it. Returns whether it is to be had.
  bool Prepare();

  // Makes a call (any but kFork and kExit), whose bytes are `in`, at most kMaxBytes, and writes
  // what it gives to `out`, which has room for kMaxBytes. Descriptors that no call returned are
  // EBADF.
  Answer Make(const Call& call, std::span<const std::byte> in, std::byte* out);

 private:
  static constexpr int kDescriptors = 1024;

  int64_t Open(std::span<const std::byte> path);
  int64_t Ioctl(const Call& call, uint64_t argument);
  int64_t IoctlBytes(const Call& call, std::span<const std::byte> in, Answer& answer,
                     std::byte* out);
  int64_t Read(const Call& call, Answer& answer, std::byte* out);
  int64_t OnDescriptor(const Call& call, std::span<const std::byte> in, Answer& answer,
                       std::byte* out);
  int64_t OnMemory(const Call& call, std::span<const std::byte> in, Answer& answer, std::byte* out);
  // Notes that calls may use a descriptor. Returns it; a negative errno stays as it is.
  int64_t Note(int64_t fd);
  bool IsNoted(int fd) const { return fd >= 0 && fd < kDescriptors && descriptors_[fd]; }

  Memory memory_;
  std::bitset<kDescriptors> descriptors_;
  std::byte* bytes_end_ = nullptr;
};

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_MAKER_H_
