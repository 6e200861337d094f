// The events that tell of actions.
#ifndef TOOLS_DAEMON_SERVICES_LOG_ACTION_H_
#define TOOLS_DAEMON_SERVICES_LOG_ACTION_H_

#include <cstdint>

#include "tools/daemon/access/caller.h"
#include "tools/daemon/events/event_log.h"
#include "tools/daemon/sessions/session.h"

namespace tools::daemon {

struct ActionEvent {
  const char* action;  // the method's name
  uint32_t container = 0;
  uint32_t group = 0;
  uint64_t first = 0;
  uint64_t last = 0;
};

// Tells that an action was carried out. Returns the event's number.
uint64_t LogAction(EventLog& log, const Session& session, const Caller& caller,
                   const ActionEvent& action);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_LOG_ACTION_H_
