// The machine's IOMMU and its groups.
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

#include "tools/cli/doctor_checks.h"

namespace tools::cli {
namespace {

using compat::sysfs::ClaimsDma;
using compat::sysfs::GroupDevice;
using compat::sysfs::IsMadeUp;

constexpr char kNodes[] = "/dev/vfio/devices/";

std::vector<std::string> ListIommus(const std::string& root) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/sys/class/iommu", error)) {
    names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

Check CheckIommu(const std::string& root, const std::vector<GroupFinding>& findings) {
  const std::vector<std::string> iommus = ListIommus(root);
  const auto groups = std::ranges::count_if(
      findings, [](const GroupFinding& finding) { return !IsMadeUp(finding.group.number); });
  if (groups == 0) {
    // Mediated devices need none.
    return {"IOMMU", findings.empty() ? CheckStatus::kError : CheckStatus::kWarning,
            iommus.empty() ? "none is in use" : Joined(iommus) + ": has no groups",
            "switch it on in the firmware (VT-d, AMD-Vi, SMMU); on Intel, boot with "
            "intel_iommu=on"};
  }
  const std::string count = std::to_string(groups) + (groups == 1 ? " group" : " groups");
  return {"IOMMU", CheckStatus::kOk, (iommus.empty() ? "" : Joined(iommus) + ", ") + count, ""};
}

bool IsVfios(const GroupFinding& finding) {
  return std::ranges::any_of(finding.group.devices, &GroupDevice::has_cdev);
}

// The commands that give a device to vfio-pci.
std::string BindCommand(const std::string& device, bool has_driver) {
  const std::string directory = "/sys/bus/pci/devices/" + device;
  std::string command = "echo vfio-pci > " + directory + "/driver_override && ";
  if (has_driver) command += "echo " + device + " > " + directory + "/driver/unbind && ";
  return command + "echo " + device + " > /sys/bus/pci/drivers_probe";
}

// The commands that make a device leave its group's DMA alone.
std::string ReleaseCommand(const GroupDevice& device) {
  const std::string name = device.name;
  // A bridge has to stay the kernel's.
  if (device.is_bridge)
    return "echo " + name + " > /sys/bus/pci/devices/" + name + "/driver/unbind";
  return BindCommand(name, true);
}

Check CheckVfioDevices(const std::vector<GroupFinding>& groups) {
  size_t count = 0;
  for (const GroupFinding& finding : groups) {
    count +=
        static_cast<size_t>(std::ranges::count_if(finding.group.devices, &GroupDevice::has_cdev));
  }
  if (count != 0) {
    return {"VFIO devices", CheckStatus::kOk, std::to_string(count) + " bound to VFIO's drivers",
            ""};
  }
  return {"VFIO devices", CheckStatus::kError, "no device is bound to a driver of VFIO's",
          BindCommand("ADDRESS", true)};
}

std::string Describe(const GroupDevice& device, const NodePermissions& node) {
  std::string text = device.name;
  text += device.driver[0] != '\0' ? std::string(" (") + device.driver : " (no driver";
  if (device.is_bridge) text += ", a bridge";
  if (!node.path.empty()) text += ", " + node.path + " " + ToString(node);
  return text + ")";
}

// What keeps programs from using a group that has devices of VFIO's, and what helps. Leaves
// `check` as it is if nothing does.
void FindObstacle(const GroupFinding& finding, Check& check) {
  const auto fail = [&check](const std::string& why, const std::string& remedy) {
    check.status = CheckStatus::kError;
    check.finding += ": " + why;
    check.remedy = remedy;
  };
  const std::vector<GroupDevice>& devices = finding.group.devices;
  if (finding.group.is_noiommu) return fail("has no IOMMU", "");
  if (const auto claims = std::ranges::find_if(devices, ClaimsDma); claims != devices.end()) {
    return fail(
        std::string("not viable: ") + claims->name + " is the driver " + claims->driver + "'s",
        ReleaseCommand(*claims));
  }
  for (const NodePermissions& node : finding.nodes) {
    if (node.path.empty() || node.is_usable) continue;
    if (!node.exists)
      return fail("a node is missing", "udevadm trigger --subsystem-match=vfio-dev");
    return fail("this user may not use " + node.path, ShareNodeCommand(node.path));
  }
}

Check CheckGroup(const GroupFinding& finding) {
  std::vector<std::string> devices;
  for (size_t index = 0; index < finding.nodes.size(); ++index) {
    devices.push_back(Describe(finding.group.devices[index], finding.nodes[index]));
  }
  Check check = {"group " + std::to_string(finding.group.number), CheckStatus::kOk, Joined(devices),
                 ""};
  if (!IsVfios(finding)) {
    check.finding += devices.empty() ? "empty" : ": not VFIO's";
    return check;
  }
  FindObstacle(finding, check);
  if (check.status == CheckStatus::kOk) check.finding += ": viable";
  if (IsMadeUp(finding.group.number)) check.finding += ", made up by vfio-compat";
  return check;
}

}  // namespace

void CheckGroups(const std::string& root, std::vector<Check>& checks,
                 std::vector<GroupFinding>& groups) {
  const compat::sysfs::Groups source(root.c_str());
  for (const uint32_t number : source.AllNumbers()) {
    GroupFinding finding;
    if (!source.ReadAny(number, finding.group)) continue;
    for (const GroupDevice& device : finding.group.devices) {
      const std::string node = kNodes + ("vfio" + std::to_string(device.cdev));
      finding.nodes.push_back(device.has_cdev ? ReadNodePermissions(root, node)
                                              : NodePermissions());
    }
    groups.push_back(std::move(finding));
  }
  checks.push_back(CheckIommu(root, groups));
  if (groups.empty()) return;
  checks.push_back(CheckVfioDevices(groups));
  for (const GroupFinding& finding : groups) checks.push_back(CheckGroup(finding));
}

}  // namespace tools::cli
