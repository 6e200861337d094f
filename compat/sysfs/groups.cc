#include "compat/sysfs/groups.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

#include "compat/sysfs/files.h"

namespace compat::sysfs {
namespace {

constexpr char kGroupsDirectory[] = "/sys/kernel/iommu_groups";

// The prefix of names like "vfio0" below a device's vfio-dev.
constexpr std::string_view kCdevPrefix = "vfio";

// The class of PCI-to-PCI bridges, without the programming interface.
constexpr std::string_view kBridgeClass = "0x0604";

// What vfio_noiommu_group_alloc() of drivers/vfio/group.c calls its groups.
constexpr std::string_view kNoiommuName = "vfio-noiommu";

// The drivers that set driver_managed_dma, apart from VFIO's.
constexpr std::string_view kHarmlessDrivers[] = {"pcieport", "pci-stub", "fsl-pci"};

bool IsVfios(const GroupDevice& device) { return device.has_cdev; }

// N of the entry vfioN in a device's vfio-dev.
std::optional<uint32_t> ReadCdev(const Path& directory) {
  Directory names(directory);
  while (const char* const name = names.Next()) {
    const std::string_view text(name);
    if (!text.starts_with(kCdevPrefix)) continue;
    if (const auto number = ParseNumber(text.substr(kCdevPrefix.size()))) return number;
  }
  return std::nullopt;
}

}  // namespace

bool ClaimsDma(const GroupDevice& device) {
  const auto* const harmless = std::ranges::find(kHarmlessDrivers, std::string_view(device.driver));
  return device.driver[0] != '\0' && !device.has_cdev && harmless == std::end(kHarmlessDrivers);
}

std::vector<uint32_t> Groups::AllNumbers() const {
  std::vector<uint32_t> numbers;
  Directory names(Path("%s%s", root_, kGroupsDirectory));
  while (const char* const name = names.Next()) {
    if (const auto number = ParseNumber(name)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

std::vector<uint32_t> Groups::Numbers() const {
  std::vector<uint32_t> numbers = AllNumbers();
  std::erase_if(numbers, [this](uint32_t number) {
    Group group;
    return !Read(number, group);
  });
  return numbers;
}

bool Groups::Read(uint32_t number, Group& group) const {
  return ReadAny(number, group) && std::ranges::any_of(group.devices, IsVfios);
}

bool Groups::ReadAny(uint32_t number, Group& group) const {
  group = {.number = number, .is_noiommu = false, .is_viable = false, .devices = {}};
  const Path directory("%s%s/%u/devices", root_, kGroupsDirectory, number);
  if (!Exists(directory)) return false;
  Directory names(directory);
  while (const char* const name = names.Next()) {
    // What is longer is no device's name: PCI addresses and UUIDs are all that VFIO has.
    if (std::strlen(name) < kMaxName) group.devices.push_back(ReadDevice(number, name));
  }
  std::ranges::sort(group.devices, [](const GroupDevice& a, const GroupDevice& b) {
    return std::string_view(a.name) < std::string_view(b.name);
  });
  group.is_viable = std::ranges::none_of(group.devices, ClaimsDma);
  group.is_noiommu = IsNoiommu(group);
  return true;
}

GroupDevice Groups::ReadDevice(uint32_t group, const char* name) const {
  GroupDevice device = {};
  std::snprintf(device.name, sizeof(device.name), "%s", name);
  const Path path("%s%s/%u/devices/%s", root_, kGroupsDirectory, group, name);
  ReadLinkName(Path("%s/driver", path.c_str()), device.driver);
  char device_class[16];
  device.is_bridge =
      ReadLine(Path("%s/class", path.c_str()), device_class).starts_with(kBridgeClass);
  const std::optional<uint32_t> cdev = ReadCdev(Path("%s/vfio-dev", path.c_str()));
  device.has_cdev = cdev.has_value();
  device.cdev = cdev.value_or(0);
  return device;
}

// The kernel gives the same name to groups that it makes up for devices whose IOMMU is emulated
// (mdevs), but those have nodes in /dev/vfio/devices.
bool Groups::IsNoiommu(const Group& group) const {
  char name[32];
  if (ReadLine(Path("%s%s/%u/name", root_, kGroupsDirectory, group.number), name) != kNoiommuName) {
    return false;
  }
  return std::ranges::none_of(group.devices, [&](const GroupDevice& device) {
    return Exists(Path("%s%s/%u/devices/%s/vfio-dev/vfio%u/dev", root_, kGroupsDirectory,
                       group.number, device.name, device.cdev));
  });
}

}  // namespace compat::sysfs
