// What the file system view needs to know of the host: devices that are emulated, or groups of
// devices that the machine has.
#ifndef COMPAT_VFS_INVENTORY_H_
#define COMPAT_VFS_INVENTORY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace compat::vfs {

inline constexpr uint32_t kPciBars = 6;

// One emulated PCI device, as sysfs shows it.
struct DeviceView {
  uint32_t domain;  // of its address DOMAIN:BUS:DEVICE.FUNCTION
  uint8_t bus;
  uint8_t device;
  uint8_t function;
  uint32_t group;  // its IOMMU group's number
  uint16_t vendor_id;
  uint16_t device_id;
  uint16_t subsystem_vendor_id;
  uint16_t subsystem_id;
  uint32_t class_code;  // 24 bits
  uint8_t revision_id;
  uint64_t bar_sizes[kPciBars];  // 0: none
  bool bar_is_64bit[kPciBars];
};

// A group of the machine's own devices.
struct GroupView {
  uint32_t number;  // below kMaxGroups
  bool is_noiommu;  // its node is named noiommu-N
};

// Of real groups, which the kernel numbers from 0 up, the view shows those below this number.
inline constexpr uint32_t kMaxGroups = 1 << 20;

// From this number on, groups are not the kernel's: each is made up for one mediated device, which
// is in none, and /sys knows nothing of it.
inline constexpr uint32_t kFirstMadeUpGroup = 1 << 19;

// Room for where a mediated device is below /sys/devices, with its terminating zero.
inline constexpr size_t kMaxMediatedPath = 192;

// The groups of the machine's own devices.
class RealGroups {
 public:
  virtual ~RealGroups() = default;

  // Writes the group with the lowest number from `first` on. Returns false if there is none.
  virtual bool Next(uint32_t first, GroupView* group) const = 0;
  // The same for the group of this very number.
  virtual bool Find(uint32_t number, GroupView* group) const = 0;

  // Writes the number of the group that is made up for the mediated device `name`, its UUID.
  // Returns false if there is no such device.
  virtual bool FindMediated(std::string_view name, uint32_t* number) const = 0;
  // Writes where the device of made-up group `number` is below /sys/devices,
  // "virtual/mtty/mtty/UUID", as a C string (kMaxMediatedPath is always enough); empty if there is
  // none.
  virtual void MediatedPath(uint32_t number, std::span<char> out) const = 0;

  // Whether there can be containers.
  virtual bool HasContainers() const = 0;

  // Each writes, as a C string, the path of the real file whose owner and permissions the node has:
  // what is opened in its place. PATH_MAX is always enough; empty if there is none.
  virtual void ContainerFile(std::span<char> out) const = 0;
  virtual void GroupFile(uint32_t number, std::span<char> out) const = 0;
};

class Inventory {
 public:
  virtual ~Inventory() = default;

  // Null where devices are emulated. Otherwise the real /sys shows the devices; the view adds the
  // nodes of their groups, and what /sys lacks of groups that are made up, and asks for nothing
  // below.
  virtual const RealGroups* real_groups() const { return nullptr; }

  virtual size_t device_count() const = 0;
  virtual DeviceView device(size_t index) const = 0;
  // Reads the device's configuration space from its start into `data`; returns how many bytes there
  // are (256 or 4096), at most data.size().
  virtual size_t ReadConfig(size_t index, std::span<std::byte> data) const = 0;
};

}  // namespace compat::vfs

#endif  // COMPAT_VFS_INVENTORY_H_
