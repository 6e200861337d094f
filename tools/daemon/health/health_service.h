// Whether the daemon serves: it does as long as it answers.
//
// gRPC's own health service is not used: it is served by reactions, for which gRPC polls with
// threads of its own, and calls of all other services get slower by that.
#ifndef TOOLS_DAEMON_HEALTH_HEALTH_SERVICE_H_
#define TOOLS_DAEMON_HEALTH_HEALTH_SERVICE_H_

#include "health.grpc.pb.h"

namespace tools::daemon {

class HealthService final : public grpc::health::v1::Health::Service {
 public:
  grpc::Status Check(grpc::ServerContext* context,
                     const grpc::health::v1::HealthCheckRequest* request,
                     grpc::health::v1::HealthCheckResponse* response) override;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_HEALTH_HEALTH_SERVICE_H_
