// `vfio-compat run`: starts a program under the preload library, on a host made for it.
#ifndef TOOLS_CLI_RUN_COMMAND_H_
#define TOOLS_CLI_RUN_COMMAND_H_

#include <string>
#include <vector>

namespace tools::cli {

// The options as they were written; an empty string is an option that was not given.
struct RunOptions {
  std::string backend;
  std::vector<std::string> devices;
  std::vector<std::string> faults;
  std::string container;
  std::string platform;
  std::string tce64_start;
  std::string log_level;
  std::string control;  // empty: the daemon that listens where they do, if one may be there
  bool summary = false;
};

// Checks the options and the program (`command`: its name and its arguments), runs it, prints the
// summary if that is asked for, and ends this process as the program ended. Returns only if the
// program was not run: the exit status then.
int RunProgram(const RunOptions& options, const std::vector<std::string>& command);

}  // namespace tools::cli

#endif  // TOOLS_CLI_RUN_COMMAND_H_
