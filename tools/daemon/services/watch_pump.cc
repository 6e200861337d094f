#include "tools/daemon/services/watch_pump.h"

#include <pthread.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "tools/daemon/events/event_log.h"

namespace tools::daemon {
namespace {

// The least time between two rounds: events that come meanwhile go together.
constexpr std::chrono::milliseconds kRound{2};

}  // namespace

WatchPump::WatchPump(EventLog& log) : log_(log), thread_([this] { Run(); }) {}

WatchPump::~WatchPump() {
  log_.Stop();
  thread_.join();
}

void WatchPump::Add(const std::shared_ptr<Watcher>& watcher) {
  {
    const std::lock_guard lock(mutex_);
    watchers_.insert(watcher);
  }
  // For what happened before it was added.
  watcher->Poke();
}

void WatchPump::Remove(const std::shared_ptr<Watcher>& watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.erase(watcher);
}

void WatchPump::Run() {
  pthread_setname_np(pthread_self(), "watches");
  uint64_t seen = 0;
  while (!log_.is_stopped()) {
    const auto begin = std::chrono::steady_clock::now();
    seen = log_.WaitBeyond(seen);
    std::vector<std::shared_ptr<Watcher>> watchers;
    {
      const std::lock_guard lock(mutex_);
      watchers.assign(watchers_.begin(), watchers_.end());
    }
    for (const std::shared_ptr<Watcher>& watcher : watchers) watcher->Poke();
    log_.WaitForStop(begin + kRound);
  }
}

}  // namespace tools::daemon
