#include "tools/daemon/access/acceptor.h"

#include <grpcpp/server.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace tools::daemon {
namespace {

// Without descriptors or memory, connections wait in the kernel's queue until then.
constexpr int kPauseMilliseconds = 100;

}  // namespace

Acceptor::Acceptor(UniqueFd listener, PeerTable& peers, grpc::Server& server,
                   std::function<void(const std::string& why)> refused)
    : listener_(std::move(listener)),
      ends_(eventfd(0, EFD_CLOEXEC)),
      peers_(peers),
      server_(server),
      refused_(std::move(refused)),
      thread_([this] { Run(); }) {}

Acceptor::~Acceptor() {
  eventfd_write(ends_.get(), 1);
  thread_.join();
}

void Acceptor::Accept() {
  const int socket = accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (socket < 0) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;
    refused_(std::strerror(errno));
    pollfd end{ends_.get(), POLLIN, 0};
    poll(&end, 1, kPauseMilliseconds);
    return;
  }
  absl::StatusOr<Peer> peer = PeerOf(socket);
  if (!peer.ok()) {
    close(socket);
    return;
  }
  const absl::StatusOr<int> fd = peers_.Admit(socket, *std::move(peer));
  if (!fd.ok()) {
    const std::string why(fd.status().message());
    return refused_(why);
  }
  grpc::AddInsecureChannelFromFd(&server_, *fd);
}

void Acceptor::Run() {
  std::array<pollfd, 2> waits{{{listener_.get(), POLLIN, 0}, {ends_.get(), POLLIN, 0}}};
  while (waits[1].revents == 0) {
    if (poll(waits.data(), waits.size(), -1) > 0 && waits[0].revents != 0) Accept();
  }
}

}  // namespace tools::daemon
