#include "tools/daemon/sessions/session_server.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compat/session/channel.h"
#include "tools/daemon/sessions/text.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;

// What epoll says of a descriptor: connections' sockets and processes have even and odd numbers.
constexpr uint64_t kListenerKey = 0;
constexpr uint64_t kStopKey = 1;
constexpr uint64_t kTimerKey = 2;
constexpr uint64_t kFirstConnection = 2;
constexpr uint64_t SocketKey(uint64_t number) { return 2 * number; }
constexpr uint64_t ProcessKey(uint64_t number) { return 2 * number + 1; }

// Messages of one connection, and new connections, that are taken before it is others' turn.
constexpr int kTurn = 16;

// SO_PEERPIDFD, from Linux 6.5 on.
constexpr int kPeerPidfd = 77;

UniqueFd PeerProcess(int socket, int32_t pid) {
  int pidfd = -1;
  socklen_t size = sizeof(pidfd);
  if (getsockopt(socket, SOL_SOCKET, kPeerPidfd, &pidfd, &size) == 0) return UniqueFd(pidfd);
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

void SayGoodbye(int socket, const std::string& reason) {
  struct {
    channel::MessageHeader header;
    channel::Goodbye goodbye;
  } message{};
  message.header = {.magic = channel::kMagic,
                    .version = channel::kVersion,
                    .kind = static_cast<uint16_t>(channel::Kind::kGoodbye),
                    .size = sizeof(message),
                    .error = 0,
                    .request = 0};
  reason.copy(message.goodbye.reason, sizeof(message.goodbye.reason) - 1);
  (void)send(socket, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

SessionServer::SessionServer(UniqueFd listener, Registry& registry, EventLog& log,
                             SessionBounds bounds, UserOf user_of)
    : listener_(std::move(listener)),
      registry_(registry),
      log_(log),
      bounds_(bounds),
      user_of_(std::move(user_of)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      last_number_(kFirstConnection),
      // A byte more than a message may have, so that longer ones are told from the longest.
      buffer_(channel::kMaxMessage + 1) {
  SetAccepting(true);
  Watch(stop_.get(), kStopKey);
  Watch(timer_.fd(), kTimerKey);
  thread_ = std::thread([this] { Run(); });
}

SessionServer::~SessionServer() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

bool SessionServer::Watch(int fd, uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void SessionServer::SetAccepting(bool accepting) {
  if (is_accepting_ == accepting) return;
  is_accepting_ = accepting;
  if (accepting) {
    Watch(listener_.get(), kListenerKey);
  } else {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
  }
}

void SessionServer::Run() {
  pthread_setname_np(pthread_self(), "sessions");
  while (true) {
    epoll_event events[64];
    const int count = epoll_wait(epoll_.get(), events, std::size(events), -1);
    for (int i = 0; i < count; ++i) {
      const uint64_t key = events[i].data.u64;
      if (key == kStopKey) {
        while (!connections_.empty()) Close(connections_.begin()->first);
        return;
      }
      if (key == kListenerKey) {
        Accept();
      } else if (key == kTimerKey) {
        Expire();
      } else if (key == ProcessKey(key / 2)) {
        Close(key / 2);
      } else {
        ReadFrom(key / 2);
      }
    }
  }
}

void SessionServer::Accept() {
  for (int i = 0; i < kTurn; ++i) {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.ok()) {
      Admit(std::move(socket));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      // Until a connection ends, or a second is over.
      spdlog::error("no more sessions can be taken: {}", strerrordesc_np(errno));
      SetAccepting(false);
      timer_.Arm();
      return;
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

void SessionServer::Admit(UniqueFd socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return;
  const auto user = users_.find(peer.uid);
  const size_t of_user = user == users_.end() ? 0 : user->second;
  if (connections_.size() >= bounds_.in_all || of_user >= bounds_.of_a_user) {
    const std::string reason =
        of_user >= bounds_.of_a_user
            ? absl::StrCat("uid ", peer.uid, " has ", of_user, " sessions already")
            : absl::StrCat("there are ", connections_.size(), " sessions already");
    spdlog::warn("process {} is refused: {}", peer.pid, reason);
    SayGoodbye(socket.get(), reason);
    return;
  }
  const uint64_t number = ++last_number_;
  Connection connection;
  connection.pidfd = PeerProcess(socket.get(), peer.pid);
  connection.pid = peer.pid;
  connection.uid = peer.uid;
  connection.hello_deadline = Clock::now() + kAnswerTime;
  if (!Watch(socket.get(), SocketKey(number))) return;
  // Without a pidfd the socket alone tells of the process's end.
  if (connection.pidfd.ok()) Watch(connection.pidfd.get(), ProcessKey(number));
  connection.socket = std::move(socket);
  connections_.emplace(number, std::move(connection));
  ++users_[peer.uid];
  timer_.Arm();
}

void SessionServer::ReadFrom(uint64_t number) {
  for (int i = 0; i < kTurn; ++i) {
    const auto found = connections_.find(number);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    const int socket = connection.session ? connection.session->socket() : connection.socket.get();
    const ssize_t size = recv(socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return Close(number);
    std::optional<std::string> wrong = "a message that is too long";
    if (static_cast<size_t>(size) <= channel::kMaxMessage) {
      wrong = Take(number, std::span(buffer_).first(size));
    }
    if (!wrong) continue;
    Refuse(connection, *wrong);
    return Close(number);
  }
}

std::optional<std::string> SessionServer::Take(uint64_t number, std::span<const std::byte> packet) {
  const channel::MessageHeader* header = channel::CheckMessage(packet);
  if (header == nullptr) return "what was sent is no message";
  Connection& connection = connections_.at(number);
  const auto kind = static_cast<channel::Kind>(header->kind);
  if (kind == channel::Kind::kGoodbye) {
    TakeGoodbye(connection, packet);
    return std::nullopt;
  }
  if (header->version != channel::kVersion) {
    return absl::StrCat("version ", header->version, " of the channel; this daemon has ",
                        channel::kVersion);
  }
  if (!connection.session) {
    if (kind == channel::Kind::kHello) return TakeHello(number, packet);
    return absl::StrCat("a message of kind ", header->kind, " before Hello");
  }
  if ((header->kind & channel::kAnswerBit) != 0) {
    if (connection.session->TakeAnswer(packet)) return std::nullopt;
    return absl::StrCat("an answer of kind ", header->kind & ~channel::kAnswerBit, " to request ",
                        header->request, ", which is not the next to be answered");
  }
  if (kind == channel::Kind::kEvents) return TakeEvents(*connection.session, packet);
  return absl::StrCat("a message of kind ", header->kind, ", which is not a program's to send");
}

std::optional<std::string> SessionServer::TakeHello(uint64_t number,
                                                    std::span<const std::byte> packet) {
  const auto* hello = channel::BodyOf<channel::Hello>(packet);
  if (hello == nullptr || packet.size() != sizeof(channel::MessageHeader) + sizeof(*hello)) {
    return "a Hello of another size";
  }
  if (!IsTerminated(hello->command)) return "a command without an end";
  if (hello->backend != 1 && hello->backend != 2) {
    return absl::StrCat("backend ", hello->backend);
  }
  if (hello->session == 0) return "session id 0";
  Connection& connection = connections_.at(number);
  SessionIdentity identity = {.id = hello->session,
                              .host = hello->host,
                              .pid = connection.pid,
                              .uid = user_of_(connection.uid),
                              .backend = hello->backend,
                              .start_time = hello->start_time,
                              .command = Printable(hello->command)};
  if (Introduce(connection, std::move(identity))) return std::nullopt;
  return absl::StrCat("session ", SessionName(hello->session), " is connected already");
}

bool SessionServer::Introduce(Connection& connection, SessionIdentity identity) {
  // A process that connects anew may be seen before the end of its connection before.
  if (const auto before = registry_.Find(identity.id);
      before && identity.pid != 0 && before->identity().pid == identity.pid) {
    for (const auto& [number, other] : connections_) {
      if (other.session != before) continue;
      Close(number);
      break;
    }
  }
  // Nobody else adds sessions.
  if (registry_.Find(identity.id)) return false;
  auto session = std::make_shared<Session>(std::move(identity), std::move(connection.socket),
                                           std::move(connection.pidfd), timer_);
  connection.session = session;
  spdlog::info("session {} begins: process {}, uid {}: {}", SessionName(session->identity().id),
               session->identity().pid, session->identity().uid, session->identity().command);
  registry_.Add(session);
  return true;
}

std::optional<std::string> SessionServer::TakeEvents(Session& session,
                                                     std::span<const std::byte> packet) {
  const auto* batch = channel::BodyOf<channel::EventBatch>(packet);
  if (batch == nullptr) return "an EventBatch that is cut short";
  const auto events = channel::ArrayOf<channel::EventBatch, channel::Event>(packet, batch->count);
  if (events.size() != batch->count ||
      packet.size() != sizeof(channel::MessageHeader) + sizeof(*batch) + events.size_bytes()) {
    return absl::StrCat("an EventBatch that says it has ", batch->count, " events");
  }
  events_.clear();
  LoggedEvent event;
  event.session = session.identity().id;
  event.uid = session.identity().uid;
  if (batch->dropped != 0) {
    event.kind = EventKind::kLost;
    event.value = batch->dropped;
    events_.push_back(event);
  }
  const uint32_t subscribed = session.subscribed();
  for (const channel::Event& sent : events) {
    event.kind = static_cast<EventKind>(sent.kind);
    if (sent.kind >= kEventKinds || (KindBit(event.kind) & kSessionEventKinds) == 0) {
      return absl::StrCat("an event of kind ", sent.kind);
    }
    // On its way when nobody wanted it any more.
    if ((KindBit(event.kind) & subscribed) == 0) continue;
    event.access = sent.access & 3;
    event.container = sent.container;
    event.first = sent.first;
    event.last = sent.last;
    event.value = sent.value;
    events_.push_back(event);
  }
  if (!events_.empty()) log_.Append(events_);
  return std::nullopt;
}

void SessionServer::TakeGoodbye(const Connection& connection, std::span<const std::byte> packet) {
  const auto* goodbye = channel::BodyOf<channel::Goodbye>(packet);
  spdlog::info("process {}, uid {}, ends its connection: {}", connection.pid, connection.uid,
               goodbye == nullptr ? "" : Printable(goodbye->reason));
}

void SessionServer::Refuse(Connection& connection, const std::string& reason) {
  if (connection.session) return connection.session->Cut(reason);
  spdlog::warn("process {}, uid {}, is cut off: {}", connection.pid, connection.uid, reason);
  SayGoodbye(connection.socket.get(), reason);
}

void SessionServer::Close(uint64_t number) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  const Connection connection = std::move(found->second);
  connections_.erase(found);
  if (const auto user = users_.find(connection.uid); --user->second == 0) users_.erase(user);
  // Whoever still has the session keeps its pidfd, which would be readable for ever.
  if (connection.session) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.session->pidfd(), nullptr);
    registry_.Remove(*connection.session);
    connection.session->End();
    spdlog::info("session {} ends", SessionName(connection.session->identity().id));
  }
  SetAccepting(true);
}

void SessionServer::Expire() {
  uint64_t expirations = 0;
  (void)!read(timer_.fd(), &expirations, sizeof(expirations));
  timer_.Disarm();
  SetAccepting(true);
  const Clock::time_point now = Clock::now();
  std::optional<Clock::time_point> next;
  std::vector<uint64_t> nameless;
  for (auto& [number, connection] : connections_) {
    std::optional<Clock::time_point> deadline = connection.hello_deadline;
    if (connection.session) {
      deadline = connection.session->Expire(now);
    } else if (connection.hello_deadline <= now) {
      nameless.push_back(number);
      continue;
    }
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  for (const uint64_t number : nameless) {
    Refuse(connections_.at(number), "it has not said within a second who it is");
    Close(number);
  }
  if (next) timer_.ArmAt(*next);
}

}  // namespace tools::daemon
