// What the services work on.
#ifndef TOOLS_DAEMON_SERVICES_PARTS_H_
#define TOOLS_DAEMON_SERVICES_PARTS_H_

#include <chrono>
#include <string>

namespace tools::daemon {

class EventLog;
class Guard;
class Registry;
class ReplayCache;

// All outlive the services.
struct Parts {
  Guard& guard;
  Registry& registry;
  EventLog& log;
  ReplayCache& replays;
  std::string version;  // of the daemon
  std::chrono::system_clock::time_point start_time;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_PARTS_H_
