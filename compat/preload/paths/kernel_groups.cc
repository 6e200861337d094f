#include "compat/preload/paths/kernel_groups.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <optional>
#include <vector>

#include "ioas/base/system_call.h"

namespace compat::preload {

static_assert(vfs::kFirstMadeUpGroup == sysfs::kFirstMadeUpGroup);
static_assert(vfs::kMaxGroups == sysfs::kFirstMadeUpGroup + sysfs::kMadeUpGroups);

// A program that looks at a node asks several times within one call: whether it is there, what it
// is named, what is opened in its place.
bool KernelInventory::FindNode(uint32_t number, sysfs::GroupNode& node) const {
  thread_local sysfs::GroupNode last = {};
  if (last.number != number || !groups_.IsCurrent(last)) {
    if (!groups_.Find(number, last)) return false;
  }
  node = last;
  return true;
}

bool KernelInventory::Find(uint32_t number, vfs::GroupView* group) const {
  sysfs::GroupNode node;
  if (!FindNode(number, node)) return false;
  *group = {.number = number, .is_noiommu = node.is_noiommu};
  return true;
}

bool KernelInventory::Next(uint32_t first, vfs::GroupView* group) const {
  const std::vector<uint32_t> numbers = groups_.Numbers();
  const auto from = std::ranges::lower_bound(numbers, first);
  return std::any_of(from, numbers.end(), [&](uint32_t number) { return Find(number, group); });
}

bool KernelInventory::FindMediated(std::string_view name, uint32_t* number) const {
  const std::optional<uint32_t> found = groups_.FindMediated(name);
  *number = found.value_or(0);
  return found.has_value();
}

void KernelInventory::MediatedPath(uint32_t number, std::span<char> out) const {
  groups_.ReadMediatedPath(number, out);
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
  sysfs::GroupNode node;
  // One without an IOMMU has no node to be opened.
  if (!FindNode(number, node) || node.is_noiommu) return;
  std::snprintf(out.data(), out.size(), "%s/dev/vfio/devices/vfio%u", root_, node.cdev);
}

const vfs::Inventory& KernelGroups() {
  static const KernelInventory kInventory("");
  return kInventory;
}

void WriteKernelGroupPath(uint32_t number, std::span<char> out) {
  vfs::GroupView group = {.number = number, .is_noiommu = false};
  // One that has been taken away meanwhile still has its number.
  KernelGroups().real_groups()->Find(number, &group);
  std::snprintf(out.data(), out.size(), "/dev/vfio/%s%u", group.is_noiommu ? "noiommu-" : "",
                number);
}

}  // namespace compat::preload
