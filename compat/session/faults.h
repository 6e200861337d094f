// Faults of emulated devices as events. Internal to this folder.
#ifndef COMPAT_SESSION_FAULTS_H_
#define COMPAT_SESSION_FAULTS_H_

#include <span>

#include "compat/session/channel.h"
#include "compat/vfio/host.h"

namespace compat::session {

// Whether faults that devices have in this process are events, which name no container.
void ObserveFaults(bool observe);

// Says in `events` which container each fault's device is in by now, if it is in one and the host's
// lock is to be had at once.
void FindContainersOfFaults(const vfio::Host& host, std::span<Event> events);

}  // namespace compat::session

#endif  // COMPAT_SESSION_FAULTS_H_
