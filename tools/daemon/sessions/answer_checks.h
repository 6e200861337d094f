// What an answer's parts have to be like: each returns whether they are.
#ifndef TOOLS_DAEMON_SESSIONS_ANSWER_CHECKS_H_
#define TOOLS_DAEMON_SESSIONS_ANSWER_CHECKS_H_

#include "compat/session/channel.h"

namespace tools::daemon {

bool IsRight(const compat::session::ContainerInfo& container);
bool IsRight(const compat::session::GroupInfo& group);
bool IsRight(const compat::session::RangeInfo& range);
bool IsRight(const compat::session::MappingInfo& mapping);
bool IsRight(const compat::session::Counter& counter);
bool IsRight(const compat::session::FaultInfo& fault);
bool IsRight(const compat::session::FaultList& faults);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_ANSWER_CHECKS_H_
