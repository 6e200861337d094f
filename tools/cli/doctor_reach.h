// What devices can reach behind the IOMMUs of a host.
#ifndef TOOLS_CLI_DOCTOR_REACH_H_
#define TOOLS_CLI_DOCTOR_REACH_H_

#include <string>
#include <vector>

#include "ioas/backend.h"
#include "tools/cli/doctor.h"

namespace tools::cli {

// The IOVAs that `iommu` leaves to programs: its apertures without reserved ranges. `backend`, and
// `whose` of its IOMMUs that is: a setting of --iommu, or a device.
Reach ReachOf(const std::string& backend, const std::string& whose,
              const ioas::IommuProperties& iommu);

// The line about that.
Check DescribeReach(const Reach& reach);

// Those of the software host, one for each setting of --iommu.
void CheckSoftReach(Diagnosis& diagnosis);

}  // namespace tools::cli

#endif  // TOOLS_CLI_DOCTOR_REACH_H_
