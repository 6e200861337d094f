// `vfio-compat run`: starts a program under the preload library, on a host made for it.
#ifndef TOOLS_CLI_RUN_COMMAND_H_
#define TOOLS_CLI_RUN_COMMAND_H_

#include <string>
#include <vector>

#include "tools/cli/options.h"

namespace tools::cli {

// Checks the options and the program (`command`: its name and its arguments), runs it, prints the
// summary if that is asked for, and ends this process as the program ended. Returns only if the
// program was not run: the exit status then.
int RunProgram(const RunOptions& options, const std::vector<std::string>& command);

}  // namespace tools::cli

#endif  // TOOLS_CLI_RUN_COMMAND_H_
