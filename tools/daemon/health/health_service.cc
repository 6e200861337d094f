#include "tools/daemon/health/health_service.h"

#include <google/protobuf/descriptor.h>

#include <string>

#include "absl/strings/match.h"
#include "tools/daemon/errors/errors.h"

namespace tools::daemon {

grpc::Status HealthService::Check(grpc::ServerContext* /*context*/,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) {
  const std::string& name = request->service();
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  if (!name.empty() &&
      (!absl::StartsWith(name, "vfio.compat.v1.") || pool->FindServiceByName(name) == nullptr)) {
    return ToGrpc(
        Error(absl::StatusCode::kNotFound, "SERVICE_NOT_FOUND", "there is no such service"));
  }
  response->set_status(grpc::health::v1::HealthCheckResponse::SERVING);
  return grpc::Status::OK;
}

}  // namespace tools::daemon
