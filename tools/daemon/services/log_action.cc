#include "tools/daemon/services/log_action.h"

#include <spdlog/spdlog.h>

namespace tools::daemon {

uint64_t LogAction(EventLog& log, const Session& session, const Caller& caller,
                   const ActionEvent& action) {
  LoggedEvent event;
  event.session = session.identity().id;
  event.uid = session.identity().uid;
  event.kind = EventKind::kAction;
  event.container = action.container;
  event.value = action.group;
  event.first = action.first;
  event.last = action.last;
  event.action = action.action;
  event.actor = caller.name;
  const uint64_t sequence = log.Append({&event, 1});
  spdlog::info("{}: {} of session {}, container {}, group {}", caller.name, action.action,
               SessionName(session.identity().id), action.container, action.group);
  return sequence;
}

}  // namespace tools::daemon
