// The one place where it is decided whether a call may be made: the caller's role against the
// method's (option `role` of its proto), and how many calls are under way.
#ifndef TOOLS_DAEMON_ACCESS_GUARD_H_
#define TOOLS_DAEMON_ACCESS_GUARD_H_

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/daemon/access/caller.h"

namespace tools::daemon {

// Calls that are under way, streams included.
struct GuardBounds {
  size_t in_all = 512;
  size_t of_a_caller = 128;
};

// Usable by many threads at once.
class Guard {
 public:
  // A call that may be made, as long as it is under way.
  class Admission {
   public:
    Admission(Admission&& other) noexcept
        : caller(other.caller),
          method_role(other.method_role),
          guard_(std::exchange(other.guard_, nullptr)) {}
    Admission& operator=(Admission&&) = delete;
    ~Admission() {
      if (guard_ != nullptr) guard_->Release(caller.name);
    }

    const Caller caller;
    const Role method_role;  // the least that the method needs

   private:
    friend class Guard;
    Admission(Guard& guard, Caller who, Role role)
        : caller(std::move(who)), method_role(role), guard_(&guard) {}
    Guard* guard_;
  };

  // `resolver` outlives it.
  explicit Guard(const CallerResolver& resolver, GuardBounds bounds = {});
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Admits a call of `method`, "Sessions.GetSession". kUnauthenticated as the resolver says;
  // kPermissionDenied ("ROLE_TOO_LOW"); kResourceExhausted ("TOO_MANY_CALLS").
  absl::StatusOr<Admission> Admit(const grpc::ServerContextBase& context, absl::string_view method);
  // How many calls are under way. One may be for a moment after its client has its answer.
  size_t calls();

 private:
  void Release(const std::string& caller);

  const CallerResolver& resolver_;
  const GuardBounds bounds_;
  std::unordered_map<std::string, Role> roles_;  // of all methods
  std::mutex mutex_;
  size_t calls_ = 0;
  std::map<std::string, size_t> callers_;  // how many calls each has under way
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_GUARD_H_
