#include "tools/daemon/devices/held_devices.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/sysfs/files.h"
#include "compat/sysfs/groups.h"

namespace tools::daemon {
namespace {

// N, if the link at `path` reads ROOT/dev/vfio/devices/vfioN.
std::optional<uint32_t> CdevOf(const compat::sysfs::Path& path, const std::string& root) {
  char link[PATH_MAX];
  const std::string_view target = compat::sysfs::ReadLink(path, link);
  const std::string prefix = absl::StrCat(root, "/dev/vfio/devices/vfio");
  if (target.substr(0, prefix.size()) != prefix) return std::nullopt;
  return compat::sysfs::ParseNumber(target.substr(prefix.size()));
}

bool HasEnded(int pidfd) {
  pollfd process = {.fd = pidfd, .events = POLLIN, .revents = 0};
  return poll(&process, 1, 0) != 0;
}

// Fills name and group in.
void Identify(std::vector<HeldDevice>& devices, const std::string& root) {
  const compat::sysfs::Groups groups(root.c_str());
  for (const uint32_t number : groups.Numbers()) {
    compat::sysfs::Group group;
    if (!groups.Read(number, group)) continue;
    for (const compat::sysfs::GroupDevice& known : group.devices) {
      for (HeldDevice& device : devices) {
        if (!known.has_cdev || known.cdev != device.cdev) continue;
        device.name = known.name;
        device.group = number;
      }
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<HeldDevice>> FindHeldDevices(pid_t pid, int pidfd,
                                                        const std::string& root) {
  std::map<uint32_t, HeldDevice> found;
  compat::sysfs::Directory descriptors(compat::sysfs::Path("/proc/%d/fd", pid));
  bool can_look = false;
  while (const char* name = descriptors.Next()) {
    can_look = true;
    const auto there = CdevOf(compat::sysfs::Path("/proc/%d/fd/%s", pid, name), root);
    const auto number = compat::sysfs::ParseNumber(name);
    if (!there || !number || found.count(*there) != 0) continue;
    UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, static_cast<int>(*number), 0)));
    if (!fd.ok() && (errno == EPERM || errno == ENOSYS)) {
      return absl::PermissionDeniedError(absl::StrCat(
          "descriptors of process ", pid, " cannot be taken: ", strerrordesc_np(errno)));
    }
    // The process may have put another file there meanwhile.
    if (!fd.ok() || CdevOf(compat::sysfs::Path("/proc/self/fd/%d", fd.get()), root) != there) {
      continue;
    }
    found[*there] = {
        .cdev = *there, .name = absl::StrCat("vfio", *there), .group = 0, .fd = std::move(fd)};
  }
  // What was looked at was this process and not one that got its number.
  if (HasEnded(pidfd)) return absl::NotFoundError(absl::StrCat("process ", pid, " has ended"));
  if (!can_look) {
    return absl::PermissionDeniedError(
        absl::StrCat("descriptors of process ", pid, " cannot be looked at"));
  }
  std::vector<HeldDevice> devices;
  for (auto& [cdev, device] : found) devices.push_back(std::move(device));
  Identify(devices, root);
  return devices;
}

absl::Status Detach(const HeldDevice& device) {
  compat::abi::DeviceDetachIommufdPt detach = {
      .argsz = offsetof(compat::abi::DeviceDetachIommufdPt, pasid), .flags = 0, .pasid = 0};
  if (ioctl(device.fd.get(), compat::abi::kDeviceDetachIommufdPt, &detach) == 0) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("device ", device.name, " cannot be detached"));
}

}  // namespace tools::daemon
