#include "tools/daemon/sessions/registry.h"

namespace tools::daemon {

Registry::Registry(EventLog& log) : log_(log) {
  log_.OnInterestChanged([this] { Subscribe(); });
}

void Registry::Add(const std::shared_ptr<Session>& session) {
  {
    const std::lock_guard lock(mutex_);
    sessions_[session->identity().id] = session;
  }
  Log(session->identity(), EventKind::kOpened);
  Subscribe();
}

void Registry::Remove(const Session& session) {
  {
    const std::lock_guard lock(mutex_);
    sessions_.erase(session.identity().id);
  }
  Log(session.identity(), EventKind::kClosed);
}

void Registry::Log(const SessionIdentity& identity, EventKind kind) {
  LoggedEvent event;
  event.session = identity.id;
  event.uid = identity.uid;
  event.kind = kind;
  log_.Append({&event, 1});
}

void Registry::Subscribe() {
  const std::lock_guard lock(subscribing_);
  for (const std::shared_ptr<Session>& session : List()) {
    const SessionIdentity& identity = session->identity();
    session->Subscribe(log_.WantedKinds(identity.id, identity.uid) & kSessionEventKinds);
  }
}

std::shared_ptr<Session> Registry::Find(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Session>> Registry::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Session>> sessions;
  sessions.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) sessions.push_back(session);
  return sessions;
}

size_t Registry::size() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace tools::daemon
