#include "tools/cli/run_command.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "compat/settings/environment.h"
#include "compat/settings/settings.h"
#include "tools/cli/exit_status.h"
#include "tools/cli/launch.h"
#include "tools/cli/library.h"
#include "tools/cli/program.h"
#include "tools/cli/run_host.h"
#include "tools/cli/run_settings.h"

namespace tools::cli {

int RunProgram(const RunOptions& options, const std::vector<std::string>& command) {
  compat::settings::Settings settings;
  std::string library;
  std::string program;
  Failure failure = ReadRunSettings(options, settings);
  if (!failure && command.empty()) {
    failure = {kUsage, "run: no program: write it, with its arguments, behind --"};
  }
  if (!failure) failure = FindLibrary(library);
  if (!failure) failure = FindProgram(command.front(), program);
  if (!failure) failure = CheckPreloadable(program);
  RunHost host;
  if (!failure) failure = host.Create(settings);
  if (failure) return Report(failure);

  std::vector<std::string> assignments = compat::settings::ToEnvironment(settings);
  // Not the one that this process may have been given.
  if (settings.control.empty()) {
    assignments.push_back(std::string(compat::settings::kControlVariable) + "=");
  }
  assignments.push_back(PreloadAssignment(library));
  const int status = Launch(program, command, EnvironmentWith(assignments, {}));
  if (status < 0) return Report({kCannotExecute, program + ": " + std::strerror(errno)});
  if (options.summary) std::fputs(host.Summary().c_str(), stderr);
  ExitLike(status);
}

}  // namespace tools::cli
