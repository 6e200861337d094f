// Whatever a program sends, the daemon either takes it or says goodbye and ends the connection;
// what it took is right by the rules of the channel; questions end in an answer or an error that
// callers are promised, and the server goes on: each input is another program's, on one server.
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "compat/session/channel.h"
#include "fuzz/session_messages.h"
#include "fuzz/session_sides.h"
#include "tools/daemon/sessions/answer_checks.h"
#include "tools/daemon/sessions/questions.h"
#include "tools/daemon/sessions/test_server.h"

namespace fuzz {
namespace {

namespace channel = compat::session;
namespace daemon = tools::daemon;
using channel::Kind;

constexpr int kMaxQuestions = 6;
constexpr std::chrono::seconds kTooLong(20);

// Nothing that is asked for is ready too late: whoever waits for it longer hangs.
void SleepOrFail(std::chrono::steady_clock::time_point since) {
  FUZZ_REQUIRE(std::chrono::steady_clock::now() - since < kTooLong);
  std::this_thread::sleep_for(std::chrono::microseconds(20));
}

// One for all inputs. It is never taken down: its thread would be waited for when the process ends.
daemon::TestServer& Server() {
  static auto* const kServer = [] {
    spdlog::set_level(spdlog::level::off);
    auto* const fresh = new daemon::TestServer;
    std::atexit([] { std::filesystem::remove_all(Server().folder()); });
    return fresh;
  }();
  return *kServer;
}

int Connect(const std::string& path) {
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  FUZZ_REQUIRE(connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  return socket;
}

// The program: answers what it is asked with what the input says, and is cut off in the end.
class Liar {
 public:
  Liar(int socket, Input& input) : socket_(socket), input_(input) {}

  void SayHello() {
    if (input_.TakeBelow(4) == 0) return Send(TakeAnything(input_));
    channel::Hello hello{};
    const std::vector<uint8_t> bytes = TakeBody(input_, sizeof(hello));
    std::memcpy(&hello, bytes.data(), sizeof(hello));
    if (input_.TakeBelow(4) != 0) {
      hello.session |= 1;
      hello.backend = 1 + hello.backend % 2;
      hello.command[sizeof(hello.command) - 1] = '\0';
    }
    id_ = hello.session;
    Send(MakeMessage(static_cast<uint16_t>(Kind::kHello), 0, 0,
                     {reinterpret_cast<const uint8_t*>(&hello), sizeof(hello)}));
  }
  uint64_t id() const { return id_; }

  // Until the daemon ends the connection, which it does after the last packet at the latest.
  void Run() {
    SessionPacket buffer(channel::kMaxMessage + 1);
    while (true) {
      const ssize_t size = recv(socket_, buffer.data(), buffer.size(), 0);
      if (size <= 0) return;
      SessionPacket received(buffer.begin(), buffer.begin() + size);
      const channel::MessageHeader* const header = channel::CheckMessage(received);
      FUZZ_REQUIRE(header != nullptr && header->version == channel::kVersion);
      if (header->kind == static_cast<uint16_t>(Kind::kGoodbye)) {
        const auto* const goodbye = channel::BodyOf<channel::Goodbye>(received);
        FUZZ_REQUIRE(goodbye != nullptr && goodbye->reason[0] != '\0');
        FUZZ_REQUIRE(strnlen(goodbye->reason, sizeof(goodbye->reason)) < sizeof(goodbye->reason));
      } else {
        AnswerTo(*header);
      }
    }
  }

 private:
  void Send(const SessionPacket& packet) const {
    (void)send(socket_, packet.data(), packet.size(), MSG_NOSIGNAL);
  }
  void AnswerTo(const channel::MessageHeader& request) {
    while (!input_.empty()) {
      const uint32_t choice = input_.TakeBelow(8);
      if (choice == 0) {
        Send(TakeAnything(input_));
      } else if (choice == 1) {
        const SessionPacket events = TakeAnything(input_);
        Send(MakeMessage(static_cast<uint16_t>(Kind::kEvents), 0, 0,
                         {reinterpret_cast<const uint8_t*>(events.data()), events.size()}));
      } else {
        const int32_t error = choice == 2 ? input_.Take<int32_t>() : 0;
        const SessionPacket body = TakeAnything(input_);
        Send(MakeMessage(request.kind | channel::kAnswerBit, error, request.request,
                         {reinterpret_cast<const uint8_t*>(body.data()), body.size()}));
        return;
      }
    }
    Send(SessionPacket(1));
  }

  int socket_;
  Input& input_;
  uint64_t id_ = 0;
};

// Errors that callers are promised for a session that lies.
void CheckStatus(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInternal:
      FUZZ_REQUIRE(!status.message().empty());
      return;
    default:
      FUZZ_REQUIRE(!"an error that is not promised");
  }
}

template <typename Element>
void CheckAll(const std::vector<Element>& elements) {
  for (const Element& element : elements) FUZZ_REQUIRE(daemon::IsRight(element));
}

void AskForLists(uint32_t question, daemon::Session& session) {
  if (question == 0) {
    const auto containers = daemon::ListContainers(session);
    CheckStatus(containers.status());
    if (!containers.ok()) return;
    CheckAll(*containers);
    for (size_t i = 1; i < containers->size(); ++i) {
      FUZZ_REQUIRE((*containers)[i - 1].number < (*containers)[i].number);
    }
  } else if (question == 1) {
    const auto groups = daemon::ListGroups(session);
    CheckStatus(groups.status());
    if (!groups.ok()) return;
    CheckAll(*groups);
    FUZZ_REQUIRE(groups->size() <= 64 && session.remembered_groups().size() == groups->size());
  } else if (question == 2) {
    const auto space = daemon::GetAddressSpace(session, 1);
    CheckStatus(space.status());
    if (space.ok()) CheckAll(space->ranges);
  } else {
    const auto faults = daemon::ListFaults(session);
    CheckStatus(faults.status());
    if (faults.ok()) CheckAll(faults->faults);
  }
}

void AskForParts(uint32_t question, daemon::Session& session) {
  const channel::ListMappings mappings = {1, 0, 0x1000, UINT64_MAX};
  const channel::Dirty dirty = {
      static_cast<uint32_t>(channel::DirtyOperation::kRead), 0, 1, 0, 0, UINT64_MAX, 4096};
  if (question == 4) {
    const auto packet = session.Ask(Kind::kListMappings, std::as_bytes(std::span(&mappings, 1)));
    CheckStatus(packet.status());
    if (!packet.ok()) return;
    const auto part = daemon::CheckMappings(session, *packet, mappings);
    CheckStatus(part.status());
    if (!part.ok()) return;
    for (const auto& mapping : part->mappings) {
      constexpr uint32_t kReadAndWrite = 3;
      FUZZ_REQUIRE(mapping.first <= mapping.last && mapping.access <= kReadAndWrite);
    }
    // What is asked next lies behind what came: so it ends.
    FUZZ_REQUIRE(!part->next ||
                 (part->next->first > mappings.first && part->next->first <= part->next->last));
  } else {
    const auto packet = session.Ask(Kind::kDirty, std::as_bytes(std::span(&dirty, 1)));
    CheckStatus(packet.status());
    if (!packet.ok()) return;
    const auto part = daemon::CheckDirty(session, *packet, dirty);
    CheckStatus(part.status());
    if (!part.ok()) return;
    FUZZ_REQUIRE(part->answer.bit_count <= daemon::kMaxDirtyBits);
    FUZZ_REQUIRE(part->bits.size() == (part->answer.bit_count + 7) / 8);
    FUZZ_REQUIRE(!part->next || part->next->first > dirty.first);
  }
}

void AskForActs(uint32_t question, daemon::Session& session) {
  switch (question) {
    case 6:
      return CheckStatus(daemon::Translate(session, {1, 0, 0x1000}).status());
    case 7:
      return CheckStatus(daemon::DoAct(session, {}).status());
    case 8:
      return CheckStatus(daemon::SetLimits(session, {}));
    case 9:
      return CheckStatus(daemon::GetCounters(session).status());
    case 10:
      return CheckStatus(daemon::ClearFaults(session).status());
    case 11:
      return CheckStatus(daemon::InjectFaults(session, {}));
    case 12:
      return CheckStatus(daemon::ListIoases(session).status());
    default:
      return CheckStatus(daemon::FindRange(session, {1, 0, 1, 0, 0, UINT64_MAX}).status());
  }
}

void Ask(uint32_t question, daemon::Session& session) {
  if (question < 4) return AskForLists(question, session);
  if (question < 6) return AskForParts(question, session);
  AskForActs(question, session);
}

// The session, once it is there; null if the connection ended before.
std::shared_ptr<daemon::Session> Await(uint64_t id, int socket) {
  const auto since = std::chrono::steady_clock::now();
  while (true) {
    if (auto session = Server().registry().Find(id)) return session;
    pollfd ended{.fd = socket, .events = POLLRDHUP, .revents = 0};
    if (poll(&ended, 1, 0) == 1) return nullptr;
    SleepOrFail(since);
  }
}

}  // namespace

void FuzzDaemonSide(Input& input) {
  daemon::TestServer& server = Server();
  std::vector<uint32_t> questions(1 + input.TakeBelow(kMaxQuestions));
  for (uint32_t& question : questions) question = input.TakeBelow(14);
  const int socket = Connect(server.path());
  Liar liar(socket, input);
  liar.SayHello();
  // What is no greeting ends the connection, and so does the lack of one.
  if (liar.id() == 0) (void)send(socket, "x", 1, MSG_NOSIGNAL);
  if (const auto session = Await(liar.id(), socket)) {
    for (const unsigned char c : session->identity().command) FUZZ_REQUIRE(c >= 32 && c != 127);
    std::thread program([&liar] { liar.Run(); });
    for (const uint32_t question : questions) Ask(question, *session);
    shutdown(socket, SHUT_RDWR);
    program.join();
  }
  close(socket);
  const auto since = std::chrono::steady_clock::now();
  while (server.registry().size() != 0) SleepOrFail(since);
}

}  // namespace fuzz
