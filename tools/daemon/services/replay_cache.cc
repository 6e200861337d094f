#include "tools/daemon/services/replay_cache.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tools/daemon/errors/errors.h"

namespace tools::daemon {

void ReplayCache::Forget(Clock::time_point now) {
  while (!order_.empty()) {
    const auto oldest = calls_.find(order_.front());
    if (calls_.size() < capacity_ && oldest->second.begin + kLifetime > now) return;
    calls_.erase(oldest);
    order_.pop_front();
  }
}

absl::StatusOr<ReplayCache::Entry> ReplayCache::Begin(const std::string& caller,
                                                      const std::string& request_id,
                                                      const std::string& request,
                                                      Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  Forget(now);
  const Key key(caller, request_id);
  const auto found = calls_.find(key);
  if (found == calls_.end()) {
    Call& call = calls_[key];
    call.request = request;
    call.begin = now;
    call.place = order_.insert(order_.end(), key);
    return Entry{Found::kNothing, ""};
  }
  const Call& call = found->second;
  if (call.request != request) {
    return InvalidField("request_id",
                        absl::StrCat("'", request_id, "' was used for another request before"));
  }
  if (!call.is_running) return Entry{Found::kAnswer, call.answer};
  return WithRetry(Error(absl::StatusCode::kAborted, "REQUEST_RUNNING",
                         absl::StrCat("request '", request_id, "' is still being carried out"),
                         {{"request_id", request_id}}),
                   1);
}

void ReplayCache::Succeed(const std::string& caller, const std::string& request_id,
                          std::string answer) {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find({caller, request_id});
  if (found == calls_.end()) return;
  found->second.answer = std::move(answer);
  found->second.is_running = false;
}

void ReplayCache::Fail(const std::string& caller, const std::string& request_id) {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find({caller, request_id});
  if (found == calls_.end()) return;
  order_.erase(found->second.place);
  calls_.erase(found);
}

}  // namespace tools::daemon
