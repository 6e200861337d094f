#include "compat/sysfs/groups.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>

#include "compat/sysfs/files.h"

namespace compat::sysfs {
namespace {

constexpr char kGroupsDirectory[] = "/sys/kernel/iommu_groups";

// A link vfioN for each device of VFIO's.
constexpr char kCdevsDirectory[] = "/sys/class/vfio-dev";

// The prefix of names like "vfio0" there and below a device's vfio-dev.
constexpr std::string_view kCdevPrefix = "vfio";

// The class of PCI-to-PCI bridges, without the programming interface.
constexpr std::string_view kBridgeClass = "0x0604";

// What vfio_noiommu_group_alloc() of drivers/vfio/group.c calls its groups.
constexpr std::string_view kNoiommuName = "vfio-noiommu";

// The drivers that set driver_managed_dma, apart from VFIO's.
constexpr std::string_view kHarmlessDrivers[] = {"pcieport", "pci-stub", "fsl-pci"};

bool IsVfios(const GroupDevice& device) { return device.has_cdev; }

// N of the name vfioN.
std::optional<uint32_t> ParseCdev(std::string_view name) {
  if (!name.starts_with(kCdevPrefix)) return std::nullopt;
  return ParseNumber(name.substr(kCdevPrefix.size()));
}

// N of the entry vfioN in a device's vfio-dev.
std::optional<uint32_t> ReadCdev(const Path& directory) {
  Directory names(directory);
  while (const char* const name = names.Next()) {
    if (const auto number = ParseCdev(name)) return number;
  }
  return std::nullopt;
}

// Describes the device whose directory in sysfs is `path`.
GroupDevice ReadDevice(const Path& path, const char* name) {
  GroupDevice device = {};
  std::snprintf(device.name, sizeof(device.name), "%s", name);
  ReadLinkName(Path("%s/driver", path.c_str()), device.driver);
  char device_class[16];
  device.is_bridge =
      ReadLine(Path("%s/class", path.c_str()), device_class).starts_with(kBridgeClass);
  const std::optional<uint32_t> cdev = ReadCdev(Path("%s/vfio-dev", path.c_str()));
  device.has_cdev = cdev.has_value();
  device.cdev = cdev.value_or(0);
  return device;
}

}  // namespace

bool ClaimsDma(const GroupDevice& device) {
  const auto* const harmless = std::ranges::find(kHarmlessDrivers, std::string_view(device.driver));
  return device.driver[0] != '\0' && !device.has_cdev && harmless == std::end(kHarmlessDrivers);
}

std::vector<uint32_t> Groups::KernelsNumbers() const {
  std::vector<uint32_t> numbers;
  Directory names(Path("%s%s", root_, kGroupsDirectory));
  while (const char* const name = names.Next()) {
    if (const auto number = ParseNumber(name)) numbers.push_back(*number);
  }
  return numbers;
}

std::vector<uint32_t> Groups::Numbers() const {
  std::vector<uint32_t> numbers;
  Directory names(Path("%s%s", root_, kCdevsDirectory));
  while (const char* const name = names.Next()) {
    const auto cdev = ParseCdev(name);
    const auto number = cdev ? GroupOfCdev(*cdev) : std::nullopt;
    if (number) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::vector<uint32_t> Groups::AllNumbers() const {
  std::vector<uint32_t> numbers = KernelsNumbers();
  std::ranges::copy_if(Numbers(), std::back_inserter(numbers), IsMadeUp);
  std::ranges::sort(numbers);
  return numbers;
}

bool Groups::Read(uint32_t number, Group& group) const {
  return ReadAny(number, group) && std::ranges::any_of(group.devices, IsVfios);
}

bool Groups::ReadAny(uint32_t number, Group& group) const {
  group = {.number = number, .is_noiommu = false, .is_viable = false, .devices = {}};
  if (IsMadeUp(number)) return ReadMadeUp(number, group);
  const Path directory("%s%s/%u/devices", root_, kGroupsDirectory, number);
  if (!Exists(directory)) return false;
  Directory names(directory);
  while (const char* const name = names.Next()) {
    // What is longer is no device's name: PCI addresses and UUIDs are all that VFIO has.
    if (std::strlen(name) >= kMaxName) continue;
    group.devices.push_back(ReadDevice(Path("%s/%s", directory.c_str(), name), name));
  }
  std::ranges::sort(group.devices, [](const GroupDevice& a, const GroupDevice& b) {
    return std::string_view(a.name) < std::string_view(b.name);
  });
  group.is_viable = std::ranges::none_of(group.devices, ClaimsDma);
  const auto device = std::ranges::find_if(group.devices, IsVfios);
  group.is_noiommu = device != group.devices.end() && IsNoiommu(number, device->cdev);
  return true;
}

bool Groups::ReadMadeUp(uint32_t number, Group& group) const {
  const uint32_t cdev = number - kFirstMadeUpGroup;
  if (GroupOfCdev(cdev) != number) return false;
  const Path device("%s%s/vfio%u/device", root_, kCdevsDirectory, cdev);
  char name[kMaxName];
  if (ReadLinkName(device, name).empty()) return false;
  group.devices.push_back(ReadDevice(device, name));
  group.is_viable = true;
  return true;
}

bool Groups::Find(uint32_t number, GroupNode& node) const {
  node = {.number = number, .is_noiommu = false, .cdev = number - kFirstMadeUpGroup, .name = {}};
  if (IsMadeUp(number)) return GroupOfCdev(node.cdev) == number;
  const Path directory("%s%s/%u/devices", root_, kGroupsDirectory, number);
  Directory names(directory);
  while (const char* const name = names.Next()) {
    const auto cdev = ReadCdev(Path("%s/%s/vfio-dev", directory.c_str(), name));
    if (!cdev) continue;
    node.cdev = *cdev;
    std::snprintf(node.name, sizeof(node.name), "%s", name);
    node.is_noiommu = IsNoiommu(number, *cdev);
    return true;
  }
  return false;
}

bool Groups::IsCurrent(const GroupNode& node) const {
  return node.name[0] != '\0' && !node.is_noiommu &&
         Exists(Path("%s%s/%u/devices/%s/vfio-dev/vfio%u/dev", root_, kGroupsDirectory, node.number,
                     node.name, node.cdev));
}

std::optional<uint32_t> Groups::FindMediated(std::string_view name) const {
  const auto cdev = ReadCdev(Path("%s/sys/bus/mdev/devices/%.*s/vfio-dev", root_,
                                  static_cast<int>(name.size()), name.data()));
  const auto number = cdev ? GroupOfCdev(*cdev) : std::nullopt;
  return number && IsMadeUp(*number) ? number : std::nullopt;
}

std::string_view Groups::ReadMediatedPath(uint32_t number, std::span<char> out) const {
  constexpr std::string_view kDevices = "../../devices/";
  out[0] = '\0';
  const uint32_t cdev = number - kFirstMadeUpGroup;
  if (!IsMadeUp(number) || GroupOfCdev(cdev) != number) return {};
  char target[PATH_MAX];
  std::string_view path = ReadLink(Path("%s%s/vfio%u", root_, kCdevsDirectory, cdev), target);
  if (!path.starts_with(kDevices)) return {};
  path.remove_prefix(kDevices.size());
  path = path.substr(0, path.rfind("/vfio-dev/"));
  if (path.size() >= out.size()) return {};
  out[path.copy(out.data(), path.size())] = '\0';
  return {out.data(), path.size()};
}

std::optional<uint32_t> Groups::GroupOfCdev(uint32_t cdev) const {
  const Path device("%s%s/vfio%u/device", root_, kCdevsDirectory, cdev);
  char name[16];
  const auto number = ParseNumber(ReadLinkName(Path("%s/iommu_group", device.c_str()), name));
  if (number || cdev >= kMadeUpGroups || !Exists(device)) return number;
  return kFirstMadeUpGroup + cdev;
}

// The kernel gives the same name to groups that it makes up for devices whose IOMMU is emulated,
// but those have nodes in /dev/vfio/devices.
bool Groups::IsNoiommu(uint32_t group, uint32_t cdev) const {
  char name[32];
  return ReadLine(Path("%s%s/%u/name", root_, kGroupsDirectory, group), name) == kNoiommuName &&
         !Exists(Path("%s%s/vfio%u/dev", root_, kCdevsDirectory, cdev));
}

}  // namespace compat::sysfs
