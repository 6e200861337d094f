// Devices for the tests of the view.
#ifndef COMPAT_VFS_FAKE_INVENTORY_H_
#define COMPAT_VFS_FAKE_INVENTORY_H_

#include <algorithm>
#include <cstring>
#include <iterator>

#include "compat/vfs/inventory.h"

namespace compat::vfs {

// Two devices in group 7, and one with a bus and a group of its own in another domain.
class FakeInventory : public Inventory {
 public:
  static constexpr size_t kConfigSizes[] = {256, 256, 4096};
  static constexpr DeviceView kDevices[] = {
      {.domain = 0,
       .bus = 0,
       .device = 5,
       .function = 0,
       .group = 7,
       .vendor_id = 0x1b36,
       .device_id = 0x0010,
       .subsystem_vendor_id = 0x1af4,
       .subsystem_id = 0x1100,
       .class_code = 0x010802,
       .revision_id = 2,
       .bar_sizes = {0x4000, 0, 0, 0, 0x1000, 0},
       .bar_is_64bit = {true, false, false, false, false, false}},
      {.domain = 0,
       .bus = 0,
       .device = 0x1f,
       .function = 7,
       .group = 7,
       .vendor_id = 0x8086,
       .device_id = 0x10d3,
       .subsystem_vendor_id = 0x8086,
       .subsystem_id = 0,
       .class_code = 0x020000,
       .revision_id = 0,
       .bar_sizes = {0x20000, 0x1000, 0, 0, 0, 0},
       .bar_is_64bit = {}},
      {.domain = 0x10000,
       .bus = 0xa0,
       .device = 0,
       .function = 0,
       .group = 12,
       .vendor_id = 0x1b36,
       .device_id = 0x0010,
       .subsystem_vendor_id = 0,
       .subsystem_id = 0,
       .class_code = 0x010802,
       .revision_id = 1,
       .bar_sizes = {0x8000000000, 0, 0, 0, 0, 0},
       .bar_is_64bit = {true, false, false, false, false, false}},
  };

  size_t device_count() const override { return std::size(kDevices); }
  DeviceView device(size_t index) const override { return kDevices[index]; }
  size_t ReadConfig(size_t index, std::span<std::byte> data) const override {
    const size_t size = std::min(kConfigSizes[index], data.size());
    std::fill_n(data.begin(), size, std::byte{0});
    const uint16_t header[] = {kDevices[index].vendor_id, kDevices[index].device_id};
    std::memcpy(data.data(), header, std::min(size, sizeof(header)));
    return size;
  }
};

}  // namespace compat::vfs

#endif  // COMPAT_VFS_FAKE_INVENTORY_H_
