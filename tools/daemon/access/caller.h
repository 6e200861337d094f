// Who calls, and what they may do: what every handler knows of its caller.
#ifndef TOOLS_DAEMON_ACCESS_CALLER_H_
#define TOOLS_DAEMON_ACCESS_CALLER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace grpc {
class ServerContextBase;
}

namespace tools::daemon {

// vfio.compat.v1.Role, with the same numbers: each includes those before it.
enum class Role { kNone = 0, kReader = 1, kOperator = 2, kAdmin = 3 };

struct Caller {
  // For people, events and logs: "uid 1000", or the name in a certificate. One for each who may be
  // held to account: bounds and request ids are counted by it.
  std::string name;
  // Who it is on this machine; absent for callers from afar.
  std::optional<uint32_t> uid;
  // What it may call at all; on sessions of its own user.
  Role role = Role::kNone;
  // On all other sessions: kNone means that it does not learn of them.
  Role role_on_others = Role::kNone;

  // What it is to a session whose process has user id `session_uid`.
  Role RoleOn(uint32_t session_uid) const { return uid == session_uid ? role : role_on_others; }
  bool MaySee(uint32_t session_uid) const { return RoleOn(session_uid) >= Role::kReader; }
  bool MayActOn(uint32_t session_uid) const { return RoleOn(session_uid) >= Role::kOperator; }
};

// Finds out who calls. Used by many threads at once.
class CallerResolver {
 public:
  virtual ~CallerResolver() = default;

  // The caller of the call that `context` belongs to, a caller without a role included.
  // kUnauthenticated, with a reason for people, if it cannot be told or is not to be believed.
  virtual absl::StatusOr<Caller> Resolve(const grpc::ServerContextBase& context) const = 0;
};

// Takes every caller for the same one: for sockets that only one user can connect to, and for
// tests.
class SingleCaller : public CallerResolver {
 public:
  explicit SingleCaller(Caller caller) : caller_(std::move(caller)) {}
  absl::StatusOr<Caller> Resolve(const grpc::ServerContextBase&) const override { return caller_; }

 private:
  Caller caller_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_CALLER_H_
