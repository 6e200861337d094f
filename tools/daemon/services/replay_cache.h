// Calls that were carried out, by their callers and request ids: one that is repeated gets its
// first answer.
#ifndef TOOLS_DAEMON_SERVICES_REPLAY_CACHE_H_
#define TOOLS_DAEMON_SERVICES_REPLAY_CACHE_H_

#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace tools::daemon {

// Usable by many threads at once.
class ReplayCache {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kLifetime{10};

  // Holds `capacity` answers at most; the oldest one makes room.
  explicit ReplayCache(size_t capacity = 8192) : capacity_(capacity) {}

  enum class Found {
    kNothing,  // to be carried out, then Finish()
    kAnswer,   // was carried out: `answer`
  };
  struct Entry {
    Found found;
    std::string answer;
  };

  // Begins a call. `request`: all of it; another one with the same id is INVALID_ARGUMENT.
  // kAborted ("REQUEST_RUNNING") if the first is still being carried out.
  absl::StatusOr<Entry> Begin(const std::string& caller, const std::string& request_id,
                              const std::string& request, Clock::time_point now = Clock::now());
  // Ends one that Begin() found nothing of: with its answer, or without one if it failed and so may
  // be tried again.
  void Succeed(const std::string& caller, const std::string& request_id, std::string answer);
  void Fail(const std::string& caller, const std::string& request_id);

 private:
  using Key = std::pair<std::string, std::string>;
  struct Call {
    std::string request;
    std::string answer;
    bool is_running = true;
    Clock::time_point begin;
    std::list<Key>::iterator place;  // in `order_`
  };

  void Forget(Clock::time_point now);

  const size_t capacity_;
  std::mutex mutex_;
  std::map<Key, Call> calls_;
  std::list<Key> order_;  // the oldest first
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_REPLAY_CACHE_H_
