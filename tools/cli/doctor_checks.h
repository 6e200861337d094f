// The parts of a diagnosis. Each looks at one side of the host below `root`.
#ifndef TOOLS_CLI_DOCTOR_CHECKS_H_
#define TOOLS_CLI_DOCTOR_CHECKS_H_

#include <string>
#include <vector>

#include "tools/cli/doctor.h"

namespace tools::cli {

// The kernel's version, options and modules.
void CheckKernel(const std::string& root, std::vector<Check>& checks);

// /dev/iommu.
void CheckIommuNode(const std::string& root, std::vector<Check>& checks);

// Whether the machine's IOMMU is in use, and each group. Describes the groups in `groups`.
void CheckGroups(const std::string& root, std::vector<Check>& checks,
                 std::vector<GroupFinding>& groups);

// How much memory programs may lock.
void CheckLockedMemory(const std::string& root, std::vector<Check>& checks);

// Whether the kernel has the legacy interface itself.
void CheckLegacyInterface(const std::string& root, std::vector<Check>& checks);

}  // namespace tools::cli

#endif  // TOOLS_CLI_DOCTOR_CHECKS_H_
