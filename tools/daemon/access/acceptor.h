// Takes connections on the Unix socket and hands them to gRPC.
#ifndef TOOLS_DAEMON_ACCESS_ACCEPTOR_H_
#define TOOLS_DAEMON_ACCESS_ACCEPTOR_H_

#include <functional>
#include <string>
#include <thread>

#include "tools/daemon/access/peer_table.h"
#include "tools/daemon/sockets/unique_fd.h"

namespace grpc {
class Server;
}

namespace tools::daemon {

class Acceptor {
 public:
  // Accepts on `listener`, a non-blocking SOCK_STREAM socket, for `server`, which has started, by a
  // thread of its own. `refused` is told of connections that were closed at once.
  Acceptor(UniqueFd listener, PeerTable& peers, grpc::Server& server,
           std::function<void(const std::string& why)> refused);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  // Ends the thread. The server must still be there.
  ~Acceptor();

 private:
  void Run();
  void Accept();

  const UniqueFd listener_;
  const UniqueFd ends_;  // an eventfd
  PeerTable& peers_;
  grpc::Server& server_;
  const std::function<void(const std::string&)> refused_;
  std::thread thread_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_ACCEPTOR_H_
