// Starts what watchers have to be sent: one thread for all of them.
#ifndef TOOLS_DAEMON_SERVICES_WATCH_PUMP_H_
#define TOOLS_DAEMON_SERVICES_WATCH_PUMP_H_

#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace tools::daemon {

class EventLog;

// Somebody who waits for events.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // There are new events. Does not block.
  virtual void Poke() = 0;
};

class WatchPump {
 public:
  // `log` outlives it.
  explicit WatchPump(EventLog& log);
  // Stops the log's waiting too.
  ~WatchPump();
  WatchPump(const WatchPump&) = delete;
  WatchPump& operator=(const WatchPump&) = delete;

  // Pokes `watcher` whenever there are new events, until it is removed, and perhaps once more.
  void Add(const std::shared_ptr<Watcher>& watcher);
  void Remove(const std::shared_ptr<Watcher>& watcher);

 private:
  void Run();

  EventLog& log_;
  std::mutex mutex_;
  std::set<std::shared_ptr<Watcher>> watchers_;
  std::thread thread_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_WATCH_PUMP_H_
