#include "tests/control/benchmarks/watcher.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

namespace tests::control {

namespace v1 = vfio::compat::v1;

Watcher::Watcher(const std::string& target)
    : stub_(v1::Sessions::NewStub(grpc::CreateChannel(target, grpc::InsecureChannelCredentials()))),
      thread_([this] { Read(); }) {}

Watcher::~Watcher() {
  context_.TryCancel();
  thread_.join();
}

bool Watcher::WaitFor(uint64_t changes, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return mapped_ + unmapped_ >= changes; });
}

void Watcher::Read() {
  v1::WatchRequest request;
  request.set_from_sequence(1);
  const auto reader = stub_->Watch(&context_, request);
  v1::WatchResponse response;
  while (reader->Read(&response)) Note(response);
}

void Watcher::Note(const v1::WatchResponse& response) {
  const std::lock_guard guard(mutex_);
  dropped_ += response.dropped();
  for (const v1::Event& event : response.events()) {
    dropped_ += event.dropped();
    if (event.kind() == v1::Event::KIND_MAPPED) ++mapped_;
    if (event.kind() == v1::Event::KIND_UNMAPPED) ++unmapped_;
  }
  changed_.notify_all();
}

}  // namespace tests::control
