// vfio-compat: reads the command line and calls what it names.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "tools/cli/completion.h"
#include "tools/cli/control_command.h"
#include "tools/cli/decode_command.h"
#include "tools/cli/doctor_command.h"
#include "tools/cli/exit_status.h"
#include "tools/cli/options.h"
#include "tools/cli/run_command.h"
#include "tools/cli/version.h"

namespace {

// One line, whatever CLI11 has to say.
std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

int Main(const std::vector<std::string>& own, const std::vector<std::string>& command,
         char** arguments) {
  CLI::App app("Runs programs written for legacy VFIO on hosts that have none.", "vfio-compat");
  app.set_version_flag("--version", std::string("vfio-compat ") + tools::cli::kVersion);
  tools::cli::Options options;
  tools::cli::AddSubcommands(app, options);
  try {
    // CLI11 takes its arguments from the back.
    app.parse(std::vector<std::string>(own.rbegin(), own.rend()));
  } catch (const CLI::ParseError& error) {
    // Help and version are errors without a status.
    if (error.get_exit_code() == 0) return app.exit(error);
    return tools::cli::Report({tools::cli::kUsage, FirstLine(error.what())});
  }
  const std::string chosen = app.get_subcommands().front()->get_name();
  if (chosen == "run") return tools::cli::RunProgram(options.run, command);
  if (chosen == "doctor") return tools::cli::RunDoctor(options.doctor);
  if (chosen == "decode") return tools::cli::RunDecode(options.decode);
  if (chosen == "completion") {
    std::fputs(tools::cli::CompletionScript(app, options.shell).c_str(), stdout);
    return 0;
  }
  return tools::cli::BecomeControl(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  // What is behind "--" belongs to the program, whatever it looks like.
  std::vector<std::string> own;
  std::vector<std::string> command;
  bool behind = false;
  for (int i = 1; i < argc; ++i) {
    if (!behind && std::string(argv[i]) == "--") {
      behind = true;
    } else {
      (behind ? command : own).emplace_back(argv[i]);
    }
  }
  return Main(own, command, argv);
}
