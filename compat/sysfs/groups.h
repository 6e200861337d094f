// The machine's IOMMU groups, as sysfs shows them, with legacy VFIO's eyes.
//
// Devices whose IOMMU is emulated (mediated devices) are in none. Legacy VFIO makes a group up for
// each (vfio_register_emulated_iommu_dev() of drivers/vfio/vfio_main.c); where it does not, it is
// made up here: its number is kFirstMadeUpGroup and the device's cdev's, and there is no trace of
// it in /sys.
//
// Everything is read anew at each call, so that what is plugged and bound meanwhile is seen.
#ifndef COMPAT_SYSFS_GROUPS_H_
#define COMPAT_SYSFS_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace compat::sysfs {

// Room for a device's or a driver's name, with its terminating zero.
inline constexpr size_t kMaxName = 64;

// The kernel gives its groups the lowest number that is free, and so none of these.
inline constexpr uint32_t kFirstMadeUpGroup = 1 << 19;
inline constexpr uint32_t kMadeUpGroups = 1 << 19;
constexpr bool IsMadeUp(uint32_t group) {
  return group >= kFirstMadeUpGroup && group - kFirstMadeUpGroup < kMadeUpGroups;
}

// A device of a group.
struct GroupDevice {
  char name[kMaxName];    // as the kernel calls it: "0000:00:05.0", a mediated device's UUID
  char driver[kMaxName];  // the driver's name; empty: none
  bool is_bridge;         // a PCI-to-PCI bridge (class 0x0604xx)
  bool has_cdev;          // bound to a VFIO driver: vfio-dev/vfioN is there
  uint32_t cdev;          // N of /dev/vfio/devices/vfioN; 0 without one
};

// Whether the device's driver claims the DMA of its group for the kernel, which no VFIO driver
// does: see Group::is_viable.
bool ClaimsDma(const GroupDevice& device);

struct Group {
  uint32_t number;
  // The kernel made the group up for a device without an IOMMU: /dev/vfio/noiommu-N. Such a device
  // has a name, vfioN, but no node in /dev/vfio/devices (vfio_device_add() of drivers/vfio/vfio.h).
  bool is_noiommu;
  // Whether no driver of the group's devices claims their DMA for the kernel:
  // VFIO_GROUP_FLAGS_VIABLE.
  //
  // From Linux 5.19 on the driver core claims a device's group for every driver that does not set
  // driver_managed_dma (pci_dma_configure() of drivers/pci/pci-driver.c,
  // iommu_device_use_default_domain() of drivers/iommu/iommu.c), and
  // iommu_group_dma_owner_claimed() is what legacy VFIO calls viable. VFIO's own drivers set it,
  // and so do pcieport, pci-stub and fsl-pci. So a bridge on pcieport or on no driver does not
  // spoil its group, but one on another driver (shpchp) does, as any device.
  //
  // Only an attempt to bind a device says for sure: another process may have claimed the group.
  bool is_viable;
  std::vector<GroupDevice> devices;  // in the order of their names
};

// What /dev/vfio needs to know of a group.
struct GroupNode {
  uint32_t number;
  bool is_noiommu;  // as in Group
  // Of one of its devices:
  uint32_t cdev;        // N of /dev/vfio/devices/vfioN
  char name[kMaxName];  // as in GroupDevice; empty if the group is made up
};

class Groups {
 public:
  // `root` stands in front of /sys: empty for the machine itself, a directory in tests. It must
  // outlive this object.
  explicit Groups(const char* root = "") : root_(root) {}

  // The groups that have a device of VFIO's, ascending: what /dev/vfio/N lists.
  std::vector<uint32_t> Numbers() const;

  // Every group that the machine has, and those that are made up, ascending.
  std::vector<uint32_t> AllNumbers() const;

  // Reads the group with this number into `group`. Returns false if there is no such group, or none
  // of its devices is VFIO's.
  bool Read(uint32_t number, Group& group) const;

  // The same for any group: false only if there is none of this number.
  bool ReadAny(uint32_t number, Group& group) const;

  // As Read(), but looks at no more than it takes to find one device of VFIO's.
  bool Find(uint32_t number, GroupNode& node) const;

  // Whether Find() is certain to find `node` again, as it found it before: the same device, with a
  // node of its own, in the same group. One system call.
  bool IsCurrent(const GroupNode& node) const;

  // The number of the group that is made up for the mediated device `name`; nothing if there is no
  // such device, or if it has a real group.
  std::optional<uint32_t> FindMediated(std::string_view name) const;

  // Writes where the only device of made-up group `number` is below /sys/devices,
  // "virtual/mtty/mtty/UUID", as a C string, and returns it; empty if there is no such group, or if
  // the path does not fit.
  std::string_view ReadMediatedPath(uint32_t number, std::span<char> out) const;

 private:
  std::vector<uint32_t> KernelsNumbers() const;
  std::optional<uint32_t> GroupOfCdev(uint32_t cdev) const;
  bool ReadMadeUp(uint32_t number, Group& group) const;
  bool IsNoiommu(uint32_t group, uint32_t cdev) const;

  const char* root_;
};

}  // namespace compat::sysfs

#endif  // COMPAT_SYSFS_GROUPS_H_
