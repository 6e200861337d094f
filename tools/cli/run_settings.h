// From the options of `run` to settings that are known to work.
#ifndef TOOLS_CLI_RUN_SETTINGS_H_
#define TOOLS_CLI_RUN_SETTINGS_H_

#include "compat/settings/settings.h"
#include "tools/cli/exit_status.h"
#include "tools/cli/run_command.h"

namespace tools::cli {

// Parses the options into `settings` and checks that each image, or /dev/iommu for the kernel
// backend, can be opened. Images become absolute paths. kUsage with what is wrong.
Failure ReadRunSettings(const RunOptions& options, compat::settings::Settings& settings);

}  // namespace tools::cli

#endif  // TOOLS_CLI_RUN_SETTINGS_H_
