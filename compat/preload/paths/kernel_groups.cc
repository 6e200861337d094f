#include "compat/preload/paths/kernel_groups.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <vector>

#include "ioas/base/system_call.h"

namespace compat::preload {

bool KernelInventory::Next(uint32_t first, vfs::GroupView* group) const {
  sysfs::Group candidate;
  // Nearly always the group that is meant is there, and the others need not be looked at.
  bool found = groups_.Read(first, candidate);
  if (!found) {
    const std::vector<uint32_t> numbers = groups_.AllNumbers();
    const auto from = std::ranges::upper_bound(numbers, first);
    found = std::any_of(from, numbers.end(),
                        [&](uint32_t number) { return groups_.Read(number, candidate); });
  }
  if (found) *group = {.number = candidate.number, .is_noiommu = candidate.is_noiommu};
  return found;
}

bool KernelInventory::HasContainers() const {
  char path[PATH_MAX];
  ContainerFile(path);
  return ioas::SystemCall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

void KernelInventory::ContainerFile(std::span<char> out) const {
  std::snprintf(out.data(), out.size(), "%s/dev/iommu", root_);
}

void KernelInventory::GroupFile(uint32_t number, std::span<char> out) const {
  out[0] = '\0';
  sysfs::Group group;
  if (!groups_.Read(number, group)) return;
  const auto device = std::ranges::find_if(group.devices, &sysfs::GroupDevice::has_cdev);
  if (device == group.devices.end()) return;
  std::snprintf(out.data(), out.size(), "%s/dev/vfio/devices/vfio%u", root_, device->cdev);
}

const vfs::Inventory& KernelGroups() {
  static const KernelInventory kInventory("");
  return kInventory;
}

}  // namespace compat::preload
