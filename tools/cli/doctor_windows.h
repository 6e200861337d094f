// The DMA windows that SPAPR TCE containers can have on a host.
#ifndef TOOLS_CLI_DOCTOR_WINDOWS_H_
#define TOOLS_CLI_DOCTOR_WINDOWS_H_

#include <string>
#include <vector>

#include "ppc/window_place.h"
#include "tools/cli/doctor.h"

namespace tools::cli {

// The line about windows of one backend; `reach` says whose reach they have.
Check DescribeWindows(const std::string& backend, const ppc::WindowSurvey& survey,
                      const std::string& reach);

// IOVA ranges and windows on both backends. For the kernel's it attaches the first of the groups'
// devices that is free to a /dev/iommu, for the moment. Only for the machine itself.
void CheckIommus(Diagnosis& diagnosis);

}  // namespace tools::cli

#endif  // TOOLS_CLI_DOCTOR_WINDOWS_H_
