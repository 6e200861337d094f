#include "tools/daemon/services/test_daemon.h"

#include <chrono>
#include <utility>

#include "google/rpc/status.pb.h"

namespace tools::daemon {
namespace {

template <typename Detail>
Detail Find(const grpc::Status& status) {
  google::rpc::Status details;
  Detail detail;
  if (!details.ParseFromString(status.error_details())) return detail;
  for (const google::protobuf::Any& any : details.details()) {
    if (any.Is<Detail>()) any.UnpackTo(&detail);
  }
  return detail;
}

}  // namespace

TestDaemon::TestDaemon(Caller caller) : resolver_(std::move(caller)) {
  services_ = MakeServices({.guard = guard_,
                            .registry = sessions_.registry(),
                            .log = sessions_.log(),
                            .replays = replays_,
                            .version = "0.0.test",
                            .start_time = std::chrono::system_clock::now()});
  grpc::ServerBuilder builder;
  for (const auto& service : services_) builder.RegisterService(service.get());
  builder.AddListeningPort("unix:" + sessions_.folder() + "/control.sock",
                           grpc::InsecureServerCredentials());
  server_ = builder.BuildAndStart();
  channel_ = grpc::CreateChannel("unix:" + sessions_.folder() + "/control.sock",
                                 grpc::InsecureChannelCredentials());
}

TestDaemon::~TestDaemon() {
  sessions_.log().Stop();
  server_->Shutdown(std::chrono::system_clock::now());
}

std::string ReasonOf(const grpc::Status& status) {
  return Find<google::rpc::ErrorInfo>(status).reason();
}

std::string FieldOf(const grpc::Status& status) {
  const auto request = Find<google::rpc::BadRequest>(status);
  return request.field_violations_size() == 0 ? "" : request.field_violations(0).field();
}

}  // namespace tools::daemon
