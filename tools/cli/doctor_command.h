// `vfio-compat doctor`: whether legacy programs run on this host, and what to do if not.
#ifndef TOOLS_CLI_DOCTOR_COMMAND_H_
#define TOOLS_CLI_DOCTOR_COMMAND_H_

#include <string>

#include "tools/cli/doctor.h"
#include "tools/cli/options.h"

namespace tools::cli {

// A line for each check: its status, what was looked at, what was found, what would help.
std::string ToText(const Diagnosis& diagnosis);

// An object with the members "fit" (a Boolean), "checks" and "groups" (arrays).
std::string ToJson(const Diagnosis& diagnosis);

// Looks at the host and prints what was found. Returns the exit status: kUnfit if legacy programs
// would fail on the kernel backend.
int RunDoctor(const DoctorOptions& options);

}  // namespace tools::cli

#endif  // TOOLS_CLI_DOCTOR_COMMAND_H_
