#include "ioas/soft/event_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

constexpr char kPrefix[] = "vfio-compat.events.";
constexpr size_t kPrefixLength = sizeof(kPrefix) - 1;

// An abstract address: the name behind a zero byte.
struct Address {
  explicit Address(const EventFileName& name) {
    address.sun_family = AF_UNIX;
    char* at = address.sun_path + 1;
    std::memcpy(at, kPrefix, kPrefixLength);
    at += kPrefixLength;
    std::memcpy(at, &name.key, sizeof(name.key));
    at += sizeof(name.key);
    std::memcpy(at, &name.number, sizeof(name.number));
  }
  static constexpr size_t kLength =
      offsetof(sockaddr_un, sun_path) + 1 + kPrefixLength + sizeof(uint64_t) + sizeof(uint32_t);

  sockaddr_un address = {};
};

// The number of this process's network namespace, in which its names are; 0 if /proc has none.
uint32_t OwnNamespace() {
  struct stat status = {};
  if (SystemCall(SYS_newfstatat, AT_FDCWD, "/proc/self/ns/net", &status, 0) != 0) return 0;
  return static_cast<uint32_t>(status.st_ino);
}

Result<int> HiddenSocket() {
  return OpenHidden(
      [] { return SystemCall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
}

}  // namespace

EventFileName NewEventFileName(uint32_t number) {
  uint32_t random = 0;
  // The kernel gives so few bytes at once, or none before it has gathered enough of them.
  while (SystemCall(SYS_getrandom, &random, sizeof(random), 0) != sizeof(random)) {
  }
  return {uint64_t{OwnNamespace()} << 32 | random, number};
}

Result<int> OpenEventFile(const EventFileName& name, bool close_on_exec) {
  const int flags = SOCK_DGRAM | SOCK_NONBLOCK | (close_on_exec ? SOCK_CLOEXEC : 0);
  const long fd = SystemCall(SYS_socket, AF_UNIX, flags, 0);
  if (fd < 0) return Error{static_cast<int>(-fd), "cannot make a file for events"};
  const Address address(name);
  const long bound = SystemCall(SYS_bind, fd, &address.address, Address::kLength);
  if (bound == 0) return static_cast<int>(fd);
  SystemCall(SYS_close, fd);
  return Error{static_cast<int>(-bound), "cannot name a file for events"};
}

std::optional<EventFileName> NameOfEventFile(int fd) {
  sockaddr_un address = {};
  socklen_t length = sizeof(address);
  if (SystemCall(SYS_getsockname, fd, &address, &length) != 0) return std::nullopt;
  if (length != Address::kLength || address.sun_family != AF_UNIX) return std::nullopt;
  const char* const name = address.sun_path + 1;
  if (address.sun_path[0] != '\0' || std::memcmp(name, kPrefix, kPrefixLength) != 0) {
    return std::nullopt;
  }
  EventFileName found = {};
  std::memcpy(&found.key, name + kPrefixLength, sizeof(found.key));
  std::memcpy(&found.number, name + kPrefixLength + sizeof(found.key), sizeof(found.number));
  return found;
}

bool IsEventFileOpen(const EventFileName& name) {
  if (name.key >> 32 != OwnNamespace()) return true;
  const Result<int> socket = HiddenSocket();
  // What cannot be told is taken for open.
  if (!socket.ok()) return true;
  const Address address(name);
  const long connected = SystemCall(SYS_connect, *socket, &address.address, Address::kLength);
  CloseHidden(*socket);
  return connected != -ECONNREFUSED;
}

void MakeReadable(const EventFileName& name) {
  const Result<int> socket = HiddenSocket();
  if (!socket.ok()) return;
  const Address address(name);
  const char token = 0;
  SystemCall(SYS_sendto, *socket, &token, sizeof(token), MSG_DONTWAIT | MSG_NOSIGNAL,
             &address.address, Address::kLength);
  CloseHidden(*socket);
}

void MakeUnreadable(int fd) {
  // As many as a socket keeps (net.unix.max_dgram_qlen) or somebody sends meanwhile.
  constexpr int kMaxTokens = 1024;
  char token = 0;
  for (int i = 0; i < kMaxTokens; ++i) {
    if (SystemCall(SYS_recvfrom, fd, &token, sizeof(token), MSG_DONTWAIT, nullptr, nullptr) < 0) {
      return;
    }
  }
}

}  // namespace ioas::soft
