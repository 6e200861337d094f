#include "compat/session/testing/fake_daemon.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace compat::session::testing {
namespace {

constexpr int kPatience = 10'000;  // milliseconds

bool IsReadable(int fd) {
  pollfd wait = {fd, POLLIN, 0};
  return poll(&wait, 1, kPatience) == 1;
}

}  // namespace

FakeSession::FakeSession(FakeSession&& other) noexcept : FakeSession() { *this = std::move(other); }

FakeSession& FakeSession::operator=(FakeSession&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(requests_, other.requests_);
  std::swap(events_, other.events_);
  std::swap(dropped_, other.dropped_);
  return *this;
}

void FakeSession::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

void FakeSession::SendBytes(std::span<const std::byte> bytes) const {
  (void)!send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

Message FakeSession::Receive() const {
  std::vector<std::byte> bytes(2 * kMaxMessage);
  const ssize_t size = IsReadable(socket_) ? recv(socket_, bytes.data(), bytes.size(), 0) : 0;
  bytes.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return Message(std::move(bytes));
}

bool FakeSession::Ends() const {
  while (IsReadable(socket_)) {
    char byte;
    if (recv(socket_, &byte, sizeof(byte), 0) <= 0) return true;
  }
  return false;
}

void FakeSession::Keep(const Message& batch) {
  const auto head = batch.body<EventBatch>();
  dropped_ += head.dropped;
  const auto events = batch.elements<EventBatch, Event>(head.count);
  events_.insert(events_.end(), events.begin(), events.end());
}

Message FakeSession::Await(const Message& request) {
  Send(request);
  while (true) {
    Message message = Receive();
    if (!message.IsRight()) return {};
    if (message.header().kind == static_cast<uint16_t>(Kind::kEvents)) {
      Keep(message);
    } else if (message.header().kind == (request.header().kind | kAnswerBit) &&
               message.header().request == request.header().request) {
      return message;
    }
  }
}

std::vector<Event> FakeSession::Events(size_t count) {
  while (events_.size() < count) {
    const Message message = Receive();
    if (!message.IsRight()) break;
    if (message.header().kind == static_cast<uint16_t>(Kind::kEvents)) Keep(message);
  }
  return std::exchange(events_, {});
}

FakeDaemon::FakeDaemon() {
  folder_ = "/tmp/fake-daemon-XXXXXX";
  if (mkdtemp(folder_.data()) == nullptr) std::abort();
  path_ = folder_ + "/session.sock";
}

FakeDaemon::~FakeDaemon() {
  Stop();
  unlink(path_.c_str());
  rmdir(folder_.c_str());
}

void FakeDaemon::Start() {
  unlink(path_.c_str());
  listener_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener_, 16) != 0) {
    std::abort();
  }
}

void FakeDaemon::Stop() {
  if (listener_ >= 0) close(listener_);
  listener_ = -1;
}

FakeSession FakeDaemon::Accept() const {
  if (!IsReadable(listener_)) return FakeSession();
  return FakeSession(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
}

FakeSession FakeDaemon::Greet(Hello& hello) const {
  FakeSession session = Accept();
  if (session.is_open()) hello = session.Receive().body<Hello>();
  return session;
}

}  // namespace compat::session::testing
