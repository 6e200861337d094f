// Starting a program, standing in for it while it runs, and ending as it did.
#ifndef TOOLS_CLI_LAUNCH_H_
#define TOOLS_CLI_LAUNCH_H_

#include <string>
#include <vector>

namespace tools::cli {

// This process's environment, with `assignments` ("NAME=VALUE") in the place of what it had under
// the same names, and without the names in `removed`.
std::vector<std::string> EnvironmentWith(const std::vector<std::string>& assignments,
                                         const std::vector<std::string>& removed);

// Executes the program at `path` with `arguments` (the first is its name) and `environment`, and
// waits until it ends. Signals that are sent to this process go to the program; those that the
// terminal sends reach it anyway. When the program stops, this process stops. Returns the status as
// waitpid() gives it, or -1 with errno if there is no process to be had.
int Launch(const std::string& path, const std::vector<std::string>& arguments,
           const std::vector<std::string>& environment);

// Ends this process as `wait_status` says: with the same exit status, or by the same signal.
[[noreturn]] void ExitLike(int wait_status);

}  // namespace tools::cli

#endif  // TOOLS_CLI_LAUNCH_H_
