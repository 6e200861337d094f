// Freezing around a process that does not answer.
#ifndef TOOLS_DAEMON_SERVICES_CUT_OFF_H_
#define TOOLS_DAEMON_SERVICES_CUT_OFF_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/daemon/sessions/session.h"
#include "vfio/compat/v1/actions.pb.h"

namespace tools::daemon {

struct CutOff {
  std::vector<std::string> devices;  // names
  std::set<uint32_t> groups;         // numbers
};

// Detaches the target's devices, all that the process has descriptors of, from their address space;
// on a dry run only says which. Which groups a container has is what the session said last.
// kFailedPrecondition if the session's devices are emulated, if it has none of the target, or if
// nothing is known of the container's groups.
absl::StatusOr<CutOff> CutDevicesOff(const Session& session, const vfio::compat::v1::Target& target,
                                     bool dry_run);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_CUT_OFF_H_
