// VFIO devices that a process holds, taken out of it: for processes that cannot be asked.
#ifndef TOOLS_DAEMON_DEVICES_HELD_DEVICES_H_
#define TOOLS_DAEMON_DEVICES_HELD_DEVICES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/daemon/sockets/unique_fd.h"

namespace tools::daemon {

struct HeldDevice {
  uint32_t cdev = 0;   // N of /dev/vfio/devices/vfioN
  std::string name;    // as the kernel calls it; "vfioN" if sysfs does not tell
  uint32_t group = 0;  // its group, as compat/sysfs numbers them
  // A descriptor of the process's own open file description. Not to be kept: the device stays bound
  // while it is open.
  UniqueFd fd;
};

// The devices of which the process has descriptors, each once, ascending by `cdev`. `pidfd` is the
// process, which has number `pid`; `root` stands in front of /dev and /sys: empty but in tests.
// kPermissionDenied if the kernel does not let this process look, kNotFound if it has ended.
absl::StatusOr<std::vector<HeldDevice>> FindHeldDevices(pid_t pid, int pidfd,
                                                        const std::string& root = "");

// Detaches the device from its address space (VFIO_DEVICE_DETACH_IOMMUFD_PT), which blocks its DMA;
// one that is detached already stays so. The errno's code if the kernel refuses.
absl::Status Detach(const HeldDevice& device);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_DEVICES_HELD_DEVICES_H_
