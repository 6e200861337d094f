#include "compat/session/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace compat::session {

using ioas::SystemCall;

namespace {

constexpr timespec kSendPatience = {5, 0};

}  // namespace

bool Connection::Open(const char* path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  const ioas::Result<int> hidden = ioas::soft::OpenHidden([] {
    return SystemCall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  });
  if (!hidden.ok()) return false;
  socket_ = *hidden;
  if (SystemCall(SYS_connect, socket_, &address, sizeof(address)) < 0) Close();
  return is_open();
}

void Connection::Close() {
  ioas::soft::CloseHidden(socket_);
  socket_ = -1;
}

int Connection::peer() const {
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  SystemCall(SYS_getsockopt, socket_, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
  return credentials.pid;
}

bool Connection::TrySend(std::span<const std::byte> message) {
  const long sent = SystemCall(SYS_sendto, socket_, message.data(), message.size(),
                               MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0L);
  if (sent == -EAGAIN || sent == -ENOBUFS || sent == -EINTR) return false;
  if (sent < 0) Close();
  return true;
}

void Connection::Send(std::span<const std::byte> message) {
  while (!TrySend(message)) {
    pollfd room = {socket_, POLLOUT, 0};
    if (SystemCall(SYS_ppoll, &room, 1L, &kSendPatience, nullptr, 0L) == 0) return Close();
  }
}

size_t Connection::Receive(std::span<std::byte> buffer) {
  // With MSG_TRUNC the size is the message's own, whatever fits.
  const long size = SystemCall(SYS_recvfrom, socket_, buffer.data(), buffer.size(),
                               MSG_DONTWAIT | MSG_TRUNC, nullptr, nullptr);
  if (size == -EAGAIN || size == -EINTR) return 0;
  if (size <= 0 || static_cast<size_t>(size) > buffer.size()) {
    Close();
    return 0;
  }
  return static_cast<size_t>(size);
}

}  // namespace compat::session
