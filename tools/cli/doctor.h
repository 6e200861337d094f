// What `doctor` finds out about a host.
#ifndef TOOLS_CLI_DOCTOR_H_
#define TOOLS_CLI_DOCTOR_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "compat/sysfs/groups.h"
#include "ioas/range.h"
#include "tools/cli/node_permissions.h"

namespace tools::cli {

enum class CheckStatus {
  kOk,
  kWarning,  // some programs may fail
  kError,    // legacy programs, or those that use this group, fail
};

// One line.
struct Check {
  std::string name;  // what was looked at
  CheckStatus status;
  std::string finding;
  std::string remedy;  // a command, or what else helps; may be empty
};

// A group, and the node of each of its devices in /dev/vfio/devices, in the same order.
struct GroupFinding {
  compat::sysfs::Group group;
  std::vector<NodePermissions> nodes;
};

// The IOVAs that programs can map behind an IOMMU.
struct Reach {
  std::string backend;                  // "kernel" or "soft"
  std::string whose;                    // the device, or the setting "--iommu=NAME"
  uint64_t page_sizes;                  // a bit for each, in bytes
  std::vector<ioas::IovaRange> ranges;  // ascending
};

struct Diagnosis {
  std::vector<Check> checks;
  std::vector<GroupFinding> groups;
  std::vector<Reach> reaches;

  // Whether legacy programs run on the kernel backend.
  bool is_fit() const {
    return std::ranges::none_of(
        checks, [](const Check& check) { return check.status == CheckStatus::kError; });
  }
};

// Looks at the host below `root`, which stands in front of /dev, /proc, /sys and /boot: empty but
// in tests.
Diagnosis Diagnose(const std::string& root);

}  // namespace tools::cli

#endif  // TOOLS_CLI_DOCTOR_H_
