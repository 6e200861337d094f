// The machine's own groups for the file system view.
#ifndef COMPAT_PRELOAD_PATHS_KERNEL_GROUPS_H_
#define COMPAT_PRELOAD_PATHS_KERNEL_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "compat/sysfs/groups.h"
#include "compat/vfs/inventory.h"

namespace compat::preload {

// Looks at sysfs at each question, so that devices may be plugged and bound at any time; what it
// found last it only looks whether it is still so. A group's
// node has the owner and permissions of its first device's node in /dev/vfio/devices, and the
// container's those of /dev/iommu: open() opens these, so that stat() and access() agree with it.
class KernelInventory final : public vfs::Inventory, private vfs::RealGroups {
 public:
  // `root` stands in front of /sys and /dev: empty but in tests. It must outlive this object.
  explicit KernelInventory(const char* root) : root_(root), groups_(root) {}

  const vfs::RealGroups* real_groups() const override { return this; }
  size_t device_count() const override { return 0; }
  vfs::DeviceView device(size_t /*index*/) const override { return {}; }
  size_t ReadConfig(size_t /*index*/, std::span<std::byte> /*data*/) const override { return 0; }

 private:
  bool Next(uint32_t first, vfs::GroupView* group) const override;
  bool Find(uint32_t number, vfs::GroupView* group) const override;
  bool FindMediated(std::string_view name, uint32_t* number) const override;
  void MediatedPath(uint32_t number, std::span<char> out) const override;
  bool HasContainers() const override;
  void ContainerFile(std::span<char> out) const override;
  void GroupFile(uint32_t number, std::span<char> out) const override;

  bool FindNode(uint32_t number, sysfs::GroupNode& node) const;

  const char* root_;
  sysfs::Groups groups_;
};

// The groups of the machine that this process runs on.
const vfs::Inventory& KernelGroups();

// Writes the path of the node of group `number` of that machine as a C string: "/dev/vfio/7", or
// "/dev/vfio/noiommu-7".
void WriteKernelGroupPath(uint32_t number, std::span<char> out);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_KERNEL_GROUPS_H_
