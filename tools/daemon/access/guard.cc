#include "tools/daemon/access/guard.h"

#include <google/protobuf/descriptor.h>
#include <spdlog/spdlog.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tools/daemon/errors/errors.h"
#include "vfio/compat/v1/common.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;

constexpr const char* kServices[] = {"Host",  "Sessions", "AddressSpaces", "Actions",
                                     "Dirty", "Faults",   "Containers"};

std::string NameOf(Role role) { return api::Role_Name(static_cast<api::Role>(role)); }

}  // namespace

Guard::Guard(const CallerResolver& resolver, GuardBounds bounds)
    : resolver_(resolver), bounds_(bounds) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const char* name : kServices) {
    const auto* service = pool->FindServiceByName(absl::StrCat("vfio.compat.v1.", name));
    // Those that are not linked are not served.
    for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
      const auto* method = service->method(i);
      roles_[absl::StrCat(name, ".", method->name())] =
          static_cast<Role>(method->options().GetExtension(api::role));
    }
  }
}

absl::StatusOr<Guard::Admission> Guard::Admit(const grpc::ServerContextBase& context,
                                              absl::string_view method) {
  absl::StatusOr<Caller> caller = resolver_.Resolve(context);
  if (!caller.ok()) return caller.status();
  const auto role = roles_.find(std::string(method));
  // A method without a role is nobody's.
  if (role == roles_.end() || role->second == Role::kNone) {
    return Error(absl::StatusCode::kInternal, "ROLE_MISSING",
                 absl::StrCat("method ", method, " has no role"));
  }
  if (caller->role < role->second) {
    spdlog::info("{} may not call {}", caller->name, std::string(method));
    return Error(absl::StatusCode::kPermissionDenied, "ROLE_TOO_LOW",
                 absl::StrCat(method, " needs ", NameOf(role->second), "; ", caller->name, " has ",
                              NameOf(caller->role)),
                 {{"role", NameOf(role->second)}, {"caller", caller->name}});
  }
  {
    const std::lock_guard lock(mutex_);
    size_t& of_caller = callers_[caller->name];
    if (calls_ < bounds_.in_all && of_caller < bounds_.of_a_caller) {
      ++calls_;
      ++of_caller;
      return Admission(*this, *std::move(caller), role->second);
    }
    if (of_caller == 0) callers_.erase(caller->name);
  }
  return WithRetry(Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_CALLS",
                         absl::StrCat("too many calls are under way: at most ", bounds_.of_a_caller,
                                      " of a caller, ", bounds_.in_all, " in all"),
                         {{"caller", caller->name}}),
                   1);
}

size_t Guard::calls() {
  const std::lock_guard lock(mutex_);
  return calls_;
}

void Guard::Release(const std::string& caller) {
  const std::lock_guard lock(mutex_);
  --calls_;
  if (const auto found = callers_.find(caller); --found->second == 0) callers_.erase(found);
}

}  // namespace tools::daemon
