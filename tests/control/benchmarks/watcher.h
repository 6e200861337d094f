// A client that reads all events.
#ifndef TESTS_CONTROL_BENCHMARKS_WATCHER_H_
#define TESTS_CONTROL_BENCHMARKS_WATCHER_H_

#include <grpcpp/client_context.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tests::control {

// Reads in a thread of its own.
class Watcher {
 public:
  // `target`: the daemon, as gRPC names it.
  explicit Watcher(const std::string& target);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // So far: what was mapped and unmapped in all sessions, and what was lost on the way.
  uint64_t mapped() const { return Get(mapped_); }
  uint64_t unmapped() const { return Get(unmapped_); }
  uint64_t dropped() const { return Get(dropped_); }
  // Waits until so many events were mappings and unmappings. Returns whether they came.
  bool WaitFor(uint64_t changes, std::chrono::milliseconds patience);

 private:
  uint64_t Get(const uint64_t& count) const {
    const std::lock_guard guard(mutex_);
    return count;
  }
  void Read();
  void Note(const vfio::compat::v1::WatchResponse& response);

  std::unique_ptr<vfio::compat::v1::Sessions::Stub> stub_;
  grpc::ClientContext context_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t mapped_ = 0;
  uint64_t unmapped_ = 0;
  uint64_t dropped_ = 0;
  std::thread thread_;
};

}  // namespace tests::control

#endif  // TESTS_CONTROL_BENCHMARKS_WATCHER_H_
