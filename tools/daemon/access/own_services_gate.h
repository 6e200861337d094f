// Who may call gRPC's own services, whose handlers are not the daemon's: reflection, readers;
// channelz, which shows all connections, admins of everything; health, everybody who may connect.
#ifndef TOOLS_DAEMON_ACCESS_OWN_SERVICES_GATE_H_
#define TOOLS_DAEMON_ACCESS_OWN_SERVICES_GATE_H_

#include <grpcpp/support/server_interceptor.h>

#include "tools/daemon/access/caller.h"

namespace tools::daemon {

// Makes interceptors that let the handlers of those services run and, if the caller may not call
// them, send nothing of what they say but the reason.
class OwnServicesGate final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // `resolver` outlives it.
  explicit OwnServicesGate(const CallerResolver& resolver) : resolver_(resolver) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  const CallerResolver& resolver_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_OWN_SERVICES_GATE_H_
