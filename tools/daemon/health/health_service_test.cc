#include "tools/daemon/health/health_service.h"

#include <gtest/gtest.h>

#include "vfio/compat/v1/sessions.pb.h"

namespace tools::daemon {
namespace {

using grpc::health::v1::HealthCheckResponse;

grpc::StatusCode CodeOf(const char* service) {
  HealthService health;
  grpc::health::v1::HealthCheckRequest request;
  HealthCheckResponse response;
  request.set_service(service);
  const grpc::Status status = health.Check(nullptr, &request, &response);
  EXPECT_EQ(response.status() == HealthCheckResponse::SERVING, status.ok());
  return status.error_code();
}

TEST(HealthServiceTest, TheServerAndItsServicesServe) {
  EXPECT_EQ(CodeOf(""), grpc::StatusCode::OK);
  // Linked, as in the daemon.
  ASSERT_NE(vfio::compat::v1::Session::descriptor(), nullptr);
  EXPECT_EQ(CodeOf("vfio.compat.v1.Sessions"), grpc::StatusCode::OK);
}

TEST(HealthServiceTest, ServicesThatAreNotThereAreNotFound) {
  for (const char* name : {"vfio.compat.v1.Nothing", "google.rpc.Status", "\xff"}) {
    EXPECT_EQ(CodeOf(name), grpc::StatusCode::NOT_FOUND) << name;
  }
}

}  // namespace
}  // namespace tools::daemon
