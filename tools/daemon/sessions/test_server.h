// A session server on a socket of its own, for tests.
#ifndef TOOLS_DAEMON_SESSIONS_TEST_SERVER_H_
#define TOOLS_DAEMON_SESSIONS_TEST_SERVER_H_

#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "tools/daemon/events/event_log.h"
#include "tools/daemon/sessions/registry.h"
#include "tools/daemon/sessions/session_server.h"
#include "tools/daemon/sockets/listen.h"

namespace tools::daemon {

class TestServer {
 public:
  explicit TestServer(
      SessionBounds bounds = {}, SessionServer::UserOf user_of = [](uint32_t uid) { return uid; })
      : folder_(MakeFolder()),
        registry_(log_),
        server_(*ListenAt(path(), SOCK_SEQPACKET, 0600), registry_, log_, bounds,
                std::move(user_of)) {}
  ~TestServer() { std::filesystem::remove_all(folder_); }

  const std::string& folder() const { return folder_; }
  std::string path() const { return folder_ + "/session.sock"; }
  Registry& registry() { return registry_; }
  EventLog& log() { return log_; }

  // Waits for the session to be there.
  std::shared_ptr<Session> Await(uint64_t id) {
    uint64_t seen = 0;
    while (true) {
      if (auto session = registry_.Find(id)) return session;
      seen = log_.WaitBeyond(seen);
    }
  }

  // Waits until a session has told of an event of a kind.
  void AwaitEvent(EventKind kind, uint64_t session) {
    uint64_t seen = 0;
    while (CountEvents(kind, session) == 0) seen = log_.WaitBeyond(seen);
  }

  // How many events of a kind there are of a session. Shows interest in them meanwhile.
  size_t CountEvents(EventKind kind, uint64_t session) {
    const auto reader =
        log_.Open({.session = session, .kinds = KindBit(kind), .all_users = true, .uid = {}}, 1);
    return reader->Read(EventLog::kCapacity).events.size();
  }

 private:
  static std::string MakeFolder() {
    std::string folder = "/tmp/vfio_compat_server_XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) std::abort();
    return folder;
  }

  const std::string folder_;
  EventLog log_;
  Registry registry_;
  SessionServer server_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_TEST_SERVER_H_
