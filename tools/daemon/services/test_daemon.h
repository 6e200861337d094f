// The services on sessions of their own, called through gRPC, for tests.
#ifndef TOOLS_DAEMON_SERVICES_TEST_DAEMON_H_
#define TOOLS_DAEMON_SERVICES_TEST_DAEMON_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tools/daemon/access/guard.h"
#include "tools/daemon/services/replay_cache.h"
#include "tools/daemon/services/services.h"
#include "tools/daemon/sessions/test_server.h"

namespace tools::daemon {

class TestDaemon {
 public:
  // All calls are made by `caller`.
  explicit TestDaemon(Caller caller = {.name = "root",
                                       .uid = 0,
                                       .role = Role::kAdmin,
                                       .role_on_others = Role::kAdmin});
  ~TestDaemon();

  TestServer& sessions() { return sessions_; }
  Guard& guard() { return guard_; }
  const std::shared_ptr<grpc::Channel>& channel() { return channel_; }

 private:
  TestServer sessions_;
  SingleCaller resolver_;
  Guard guard_{resolver_};
  ReplayCache replays_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

// A detail of an error; an empty one if it has none of that type.
template <typename Detail>
Detail DetailOf(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  Detail found;
  for (const google::protobuf::Any& any : details.details()) {
    if (any.UnpackTo(&found)) break;
  }
  return found;
}

// An error's ErrorInfo.reason, and the field that its BadRequest names; empty without.
std::string ReasonOf(const grpc::Status& status);
std::string FieldOf(const grpc::Status& status);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_TEST_DAEMON_H_
