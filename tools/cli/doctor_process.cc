// What a program meets on the host: /dev/iommu, its limits, and the kernel's own legacy interface.
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tools/cli/doctor_checks.h"
#include "tools/cli/iommu_node.h"

namespace tools::cli {
namespace {

constexpr int kIpcLock = 14;  // CAP_IPC_LOCK of linux/capability.h
constexpr char kContainerNode[] = "/dev/vfio/vfio";

// The rest of the line of /proc/self/FILE that begins with `start`; empty if there is none.
std::string ReadField(const std::string& root, const char* file, const std::string& start) {
  std::ifstream stream(root + "/proc/self/" + file);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(start)) return line.substr(start.size());
  }
  return "";
}

// Whether memory that is locked is counted at all: not with CAP_IPC_LOCK
// (drivers/iommu/iommufd/pages.c).
bool IsExempt(const std::string& root) {
  const std::string effective = ReadField(root, "status", "CapEff:");
  return (std::strtoull(effective.c_str(), nullptr, 16) >> kIpcLock & 1) != 0;
}

}  // namespace

void CheckIommuNode(const std::string& root, std::vector<Check>& checks) {
  const IommuNode node = TryIommuNode(root);
  const NodePermissions permissions = ReadNodePermissions(root, kIommuNode);
  std::string finding = node.finding;
  if (permissions.exists) finding += " (" + ToString(permissions) + ")";
  checks.push_back(
      {kIommuNode, node.opens ? CheckStatus::kOk : CheckStatus::kError, finding, node.remedy});
}

void CheckLockedMemory(const std::string& root, std::vector<Check>& checks) {
  constexpr char kName[] = "locked memory";
  std::istringstream field(ReadField(root, "limits", "Max locked memory"));
  std::string limit;  // the soft one, in bytes
  field >> limit;
  if (IsExempt(root)) {
    checks.push_back({kName, CheckStatus::kOk, "no limit, by CAP_IPC_LOCK", ""});
  } else if (limit == "unlimited") {
    checks.push_back({kName, CheckStatus::kOk, "no limit", ""});
  } else {
    const std::string kilobytes = std::to_string(std::strtoull(limit.c_str(), nullptr, 10) / 1024);
    checks.push_back({kName, CheckStatus::kWarning,
                      "a user's programs map " + kilobytes + " KiB together at most",
                      "ulimit -l unlimited, or LimitMEMLOCK=infinity in a systemd unit"});
  }
}

void CheckLegacyInterface(const std::string& root, std::vector<Check>& checks) {
  const bool is_there = ReadNodePermissions(root, kContainerNode).exists;
  checks.push_back(
      {"legacy interface", CheckStatus::kOk,
       std::string(kContainerNode) + (is_there ? " is there: programs run without vfio-compat, too"
                                               : " is not there: programs need vfio-compat"),
       ""});
}

}  // namespace tools::cli
