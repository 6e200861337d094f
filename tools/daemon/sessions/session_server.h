// Where programs under the library connect: one thread that accepts them, reads what they send, and
// ends their sessions when they do.
#ifndef TOOLS_DAEMON_SESSIONS_SESSION_SERVER_H_
#define TOOLS_DAEMON_SESSIONS_SESSION_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/daemon/events/event_log.h"
#include "tools/daemon/sessions/answer_timer.h"
#include "tools/daemon/sessions/registry.h"
#include "tools/daemon/sessions/session.h"
#include "tools/daemon/sockets/unique_fd.h"

namespace tools::daemon {

// Connections, those included that have not said yet who they are. Others are closed at once.
struct SessionBounds {
  size_t in_all = 4096;
  size_t of_a_user = 1024;
};

class SessionServer {
 public:
  // Whose the sessions of a user's processes are.
  using UserOf = std::function<uint32_t(uint32_t uid)>;

  // Serves `listener`, a SOCK_SEQPACKET socket that listens, until it is destroyed. `registry` and
  // `log` outlive it.
  SessionServer(
      UniqueFd listener, Registry& registry, EventLog& log, SessionBounds bounds = {},
      UserOf user_of = [](uint32_t uid) { return uid; });
  // Ends all sessions: programs look for the next daemon.
  ~SessionServer();
  SessionServer(const SessionServer&) = delete;
  SessionServer& operator=(const SessionServer&) = delete;

 private:
  // Somebody who has connected: a session once it has said so.
  struct Connection {
    UniqueFd socket;  // the session's, when it is one
    UniqueFd pidfd;
    int32_t pid = 0;
    uint32_t uid = 0;
    Clock::time_point hello_deadline;
    std::shared_ptr<Session> session;
  };

  void Run();
  void Accept();
  void Admit(UniqueFd socket);
  void ReadFrom(uint64_t number);
  // These return why the connection ends, if it does: a message that is not right.
  std::optional<std::string> Take(uint64_t number, std::span<const std::byte> packet);
  std::optional<std::string> TakeHello(uint64_t number, std::span<const std::byte> packet);
  std::optional<std::string> TakeEvents(Session& session, std::span<const std::byte> packet);
  bool Introduce(Connection& connection, SessionIdentity identity);
  void TakeGoodbye(const Connection& connection, std::span<const std::byte> packet);
  void Refuse(Connection& connection, const std::string& reason);
  void Close(uint64_t number);
  void Expire();
  bool Watch(int fd, uint64_t key);
  void SetAccepting(bool accepting);

  const UniqueFd listener_;
  Registry& registry_;
  EventLog& log_;
  const SessionBounds bounds_;
  const UserOf user_of_;
  const UniqueFd epoll_;
  const UniqueFd stop_;
  AnswerTimer timer_;
  // The thread's own.
  std::map<uint64_t, Connection> connections_;  // by numbers that are not used again
  std::map<uint32_t, size_t> users_;            // how many connections each has
  uint64_t last_number_ = 0;
  bool is_accepting_ = false;
  std::vector<std::byte> buffer_;
  std::vector<LoggedEvent> events_;
  std::thread thread_;  // the last: it uses all others
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_SESSION_SERVER_H_
