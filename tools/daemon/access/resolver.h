// Callers as they are: users of the machine on the Unix socket, holders of certificates on TCP.
#ifndef TOOLS_DAEMON_ACCESS_RESOLVER_H_
#define TOOLS_DAEMON_ACCESS_RESOLVER_H_

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "tools/daemon/access/caller.h"
#include "tools/daemon/access/certificate.h"
#include "tools/daemon/access/peer_table.h"
#include "tools/daemon/access/policy.h"

namespace tools::daemon {

// What a user of the machine is:
//
//                             own sessions    all others
//   root, the daemon's user   admin           admin
//   in the readers' group     admin           reader
//   any other                 admin           nothing
//
// Admin of their own sessions, as they could end those processes anyway.
Caller CallerOf(const Peer& peer, std::optional<gid_t> readers);

// What the holder of a certificate is: the role that the policy gives the first of its names that
// it knows, on all sessions; none if it knows none. kUnauthenticated if it is revoked or has
// expired (since the connection was made).
absl::StatusOr<Caller> CallerOf(const Certificate& certificate, const Policy& policy, time_t now);

class Resolver final : public CallerResolver {
 public:
  // `readers`: the group that may look at everything. Both tables outlive this.
  Resolver(const PeerTable& peers, const PolicyFile& policy, std::optional<gid_t> readers)
      : peers_(peers), policy_(policy), readers_(readers) {}

  absl::StatusOr<Caller> Resolve(const grpc::ServerContextBase& context) const override;

 private:
  absl::StatusOr<Caller> ResolveCertificate(const grpc::ServerContextBase& context) const;

  const PeerTable& peers_;
  const PolicyFile& policy_;
  const std::optional<gid_t> readers_;
  // Certificates that were parsed before, by their text.
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, std::shared_ptr<const Certificate>> certificates_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_RESOLVER_H_
