// Where callers come in: the Unix socket and TCP.
#ifndef TOOLS_DAEMON_ACCESS_DOORS_H_
#define TOOLS_DAEMON_ACCESS_DOORS_H_

#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/daemon/access/acceptor.h"
#include "tools/daemon/access/network.h"
#include "tools/daemon/access/peer_table.h"
#include "tools/daemon/access/policy.h"
#include "tools/daemon/access/resolver.h"
#include "tools/daemon/sockets/unique_fd.h"

namespace tools::daemon {

struct DoorOptions {
  UniqueFd listener;  // a Unix socket that listens, SOCK_STREAM, non-blocking
  NetworkOptions network;
  // The group whose members may look at everything; empty: kReadersGroup, if there is such a group.
  std::string readers_group;
  PeerBounds bounds;
};

inline constexpr char kReadersGroup[] = "vfio-compat-readers";

// In this order: Prepare, AddTo, (the server starts), Open, Close, (the server ends).
class Doors {
 public:
  // kInvalidArgument if the options do not go together, or a file or the group is not there or not
  // right.
  static absl::StatusOr<std::unique_ptr<Doors>> Prepare(DoorOptions options);

  const CallerResolver& resolver() const { return resolver_; }
  // Has the server listen on TCP, and guard gRPC's own services.
  void AddTo(grpc::ServerBuilder& builder);
  // Accepts connections on the Unix socket from now on.
  void Open(grpc::Server& server);
  void Close() { acceptor_.reset(); }
  // Reads the policy again. If it is not right the one before stays in force, and the error says
  // why.
  absl::Status Reload();
  // The TCP port that the server listens on, once it has started; 0: none.
  int port() const { return port_; }

 private:
  Doors(DoorOptions options, std::shared_ptr<grpc::ServerCredentials> credentials,
        std::optional<gid_t> readers);

  UniqueFd listener_;
  const NetworkOptions network_;
  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  PolicyFile policy_;
  PeerTable peers_;
  const Resolver resolver_;
  int port_ = 0;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_DOORS_H_
