// vfio-compat-control: carries out the commands of vfio-compat that speak to a daemon.
#include <CLI/CLI.hpp>
#include <string>

#include "tools/cli/version.h"
#include "tools/control/client.h"
#include "tools/control/commands.h"
#include "tools/control/options.h"

namespace {

using tools::control::Client;
using tools::control::CommandOptions;
using tools::control::CommonOptions;
using tools::control::Failure;

struct Row {
  const char* name;
  Failure (*run)(const Client&, const CommandOptions&);
};
constexpr Row kRows[] = {
    {"ps", tools::control::Ps},         {"show", tools::control::Show},
    {"maps", tools::control::Maps},     {"map", tools::control::Map},
    {"watch", tools::control::Watch},   {"translate", tools::control::Translate},
    {"top", tools::control::Top},       {"freeze", tools::control::Freeze},
    {"thaw", tools::control::Thaw},     {"unmap", tools::control::Unmap},
    {"revoke", tools::control::Revoke}, {"limit", tools::control::Limit},
    {"faults", tools::control::Faults}, {"call", tools::control::Call},
    {"find", tools::control::Find},
};

Failure Run(const std::string& name, const CommonOptions& common, const CommandOptions& options) {
  std::unique_ptr<Client> client;
  if (Failure failure = Client::Open(common, client)) return failure;
  for (const Row& row : kRows) {
    if (row.name == name) return row.run(*client, options);
  }
  return {tools::cli::kUsage, name + " is no command"};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Speaks to vfio-compatd: vfio-compat's own helper.", "vfio-compat");
  app.set_version_flag("--version", std::string("vfio-compat ") + tools::cli::kVersion);
  app.require_subcommand(1);
  CommonOptions common;
  CommandOptions options;
  tools::control::AddCommands(app, common, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    const std::string text = error.what();
    return tools::cli::Report({tools::cli::kUsage, text.substr(0, text.find('\n'))});
  }
  const Failure failure = Run(app.get_subcommands().front()->get_name(), common, options);
  return failure ? tools::cli::Report(failure) : 0;
}
