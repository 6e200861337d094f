#include "tools/daemon/access/own_services_gate.h"

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/daemon/errors/errors.h"

namespace tools::daemon {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

// Whether the caller may call a method of a service that has no roles of its own.
absl::Status Check(const CallerResolver& resolver, const grpc::ServerContextBase& context,
                   absl::string_view method) {
  const absl::StatusOr<Caller> caller = resolver.Resolve(context);
  if (!caller.ok()) return caller.status();
  const bool is_channelz = absl::StartsWith(method, "/grpc.channelz.");
  const Role role = is_channelz ? caller->role_on_others : caller->role;
  if (role >= (is_channelz ? Role::kAdmin : Role::kReader)) return absl::OkStatus();
  return Error(absl::StatusCode::kPermissionDenied, "ROLE_TOO_LOW",
               absl::StrCat(caller->name, " may not call ", method), {{"caller", caller->name}});
}

class Gate final : public grpc::experimental::Interceptor {
 public:
  Gate(const CallerResolver& resolver, grpc::experimental::ServerRpcInfo* info)
      : resolver_(resolver), info_(info) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      status_ = ToGrpc(Check(resolver_, *info_->server_context(), info_->method()));
    }
    if (!status_.ok()) Refuse(methods);
    methods->Proceed();
  }

 private:
  void Refuse(InterceptorBatchMethods* methods) {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      const auto* message =
          static_cast<const google::protobuf::Message*>(methods->GetSendMessage());
      empty_.reset(message->New());
      methods->ModifySendMessage(empty_.get());
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      methods->ModifySendStatus(status_);
    }
  }

  const CallerResolver& resolver_;
  grpc::experimental::ServerRpcInfo* const info_;
  grpc::Status status_;
  std::unique_ptr<google::protobuf::Message> empty_;
};

}  // namespace

grpc::experimental::Interceptor* OwnServicesGate::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  const absl::string_view method = info->method();
  if (!absl::StartsWith(method, "/grpc.reflection.") &&
      !absl::StartsWith(method, "/grpc.channelz.")) {
    return nullptr;
  }
  return new Gate(resolver_, info);
}

}  // namespace tools::daemon
