// All sessions, by their ids.
#ifndef TOOLS_DAEMON_SESSIONS_REGISTRY_H_
#define TOOLS_DAEMON_SESSIONS_REGISTRY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tools/daemon/events/event_log.h"
#include "tools/daemon/sessions/session.h"

namespace tools::daemon {

// Usable by many threads at once.
class Registry {
 public:
  // `log` outlives it, is told of sessions that begin and end, and says what they are to tell of.
  explicit Registry(EventLog& log);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Adds a session that has begun; there is none with its id.
  void Add(const std::shared_ptr<Session>& session);
  // Takes it out; it has ended.
  void Remove(const Session& session);

  // Null if there is none.
  std::shared_ptr<Session> Find(uint64_t id) const;
  // Ascending by id.
  std::vector<std::shared_ptr<Session>> List() const;
  size_t size() const;

 private:
  // Tells every session which events are wanted of it.
  void Subscribe();
  void Log(const SessionIdentity& identity, EventKind kind);

  EventLog& log_;
  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Session>> sessions_;
  // What is wanted is read and told by one thread at a time, so that the last word is the newest.
  std::mutex subscribing_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_REGISTRY_H_
