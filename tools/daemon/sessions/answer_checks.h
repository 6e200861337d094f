// What an answer's parts have to be like: each returns whether they are.
#ifndef TOOLS_DAEMON_SESSIONS_ANSWER_CHECKS_H_
#define TOOLS_DAEMON_SESSIONS_ANSWER_CHECKS_H_

#include <span>

#include "compat/session/channel.h"

namespace tools::daemon {

bool IsRight(const compat::session::ContainerInfo& container);
bool IsRight(const compat::session::IoasInfo& ioas);
bool IsRight(const compat::session::GroupInfo& group);
bool IsRight(const compat::session::RangeInfo& range);
bool IsRight(const compat::session::MappingInfo& mapping);
bool IsRight(const compat::session::IovaLimits& range);
bool IsRight(const compat::session::Counter& counter);
bool IsRight(const compat::session::FaultInfo& fault);
bool IsRight(const compat::session::FaultList& faults);

// Whether what was found is what `request` was about: ranges of the bounds, the one that was found
// as large and as aligned as was asked for, and those that are free ascending.
bool IsAnswerTo(const compat::session::FindRange& request, const compat::session::FoundRange& found,
                std::span<const compat::session::IovaLimits> free);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_ANSWER_CHECKS_H_
