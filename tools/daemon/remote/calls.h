// What the daemon and vfio-compat-remote say to each other: calls that the program is to make, and
// what came of them.
//
// A SOCK_SEQPACKET socket pair; the program's end is kSocket. Each call is a packet of a Call and
// `size` bytes behind it; it is answered by one packet of an Answer and `size` bytes. There is one
// call at a time. A program that gets anything else ends.
#ifndef TOOLS_DAEMON_REMOTE_CALLS_H_
#define TOOLS_DAEMON_REMOTE_CALLS_H_

#include <cstddef>
#include <cstdint>

namespace tools::daemon::remote {

// The program's descriptor of its end.
inline constexpr int kSocket = 3;
// The program's descriptors of its disks' images are this one and those above it.
inline constexpr int kFirstImage = 4;
// Bytes behind a Call or an Answer, at most.
inline constexpr uint32_t kMaxBytes = 65536;
// Memory that calls may have mapped at a time, in bytes.
inline constexpr uint64_t kMaxMemory = uint64_t{64} << 20;
// Children below each other.
inline constexpr int kMaxForks = 4;

enum class Operation : uint32_t {
  kOpen = 1,         // bytes: the path, without a zero
  kIoctl = 2,        // fd, request, argument
  kIoctlBytes = 3,   // fd, request, bytes -> bytes
  kClose = 4,        // fd
  kMapMemory = 5,    // argument: address, length, protection, is_shared -> result: address
  kUnmapMemory = 6,  // argument: address, length
  kReadMemory = 7,   // argument: address, length -> bytes
  kWriteMemory = 8,  // argument: address, bytes
  kPread = 9,        // fd, length, argument: offset -> bytes
  kPwrite = 10,      // fd, bytes, argument: offset
  kEventfd = 11,     // nothing
  kDup = 12,         // fd
  kFork = 13,        // nothing
  kExit = 14,        // nothing
};

struct Call {
  Operation operation{};
  uint32_t size = 0;  // bytes behind it
  int32_t fd = 0;
  uint32_t request = 0;
  uint64_t argument = 0;
  uint64_t length = 0;
  uint32_t protection = 0;
  uint32_t is_shared = 0;  // 0 or 1
};

struct Answer {
  int64_t result = 0;  // -1: it failed
  uint32_t error = 0;  // errno, if it failed; otherwise 0
  uint32_t size = 0;   // bytes behind it
};

inline constexpr size_t kMaxCall = sizeof(Call) + kMaxBytes;
inline constexpr size_t kMaxAnswer = sizeof(Answer) + kMaxBytes;

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_CALLS_H_
