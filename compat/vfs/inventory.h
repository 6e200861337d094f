// What the file system view needs to know of the host.
#ifndef COMPAT_VFS_INVENTORY_H_
#define COMPAT_VFS_INVENTORY_H_

#include <cstddef>
#include <cstdint>
#include <span>

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

class Inventory {
 public:
  virtual ~Inventory() = default;

  virtual size_t device_count() const = 0;
  virtual DeviceView device(size_t index) const = 0;
  // Reads the device's configuration space from its start into `data`; returns how many bytes there
  // are (256 or 4096), at most data.size().
  virtual size_t ReadConfig(size_t index, std::span<std::byte> data) const = 0;
};

}  // namespace compat::vfs

#endif  // COMPAT_VFS_INVENTORY_H_
