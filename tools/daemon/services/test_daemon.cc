#include "tools/daemon/services/test_daemon.h"

#include <chrono>
#include <utility>

namespace tools::daemon {
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
  return DetailOf<google::rpc::ErrorInfo>(status).reason();
}

std::string FieldOf(const grpc::Status& status) {
  const auto request = DetailOf<google::rpc::BadRequest>(status);
  return request.field_violations_size() == 0 ? "" : request.field_violations(0).field();
}

}  // namespace tools::daemon
