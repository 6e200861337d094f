// Completion scripts for shells, made from the command line's own description.
#ifndef TOOLS_CLI_COMPLETION_H_
#define TOOLS_CLI_COMPLETION_H_

#include <string>
#include <string_view>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace tools::cli {

// The script that has `shell` ("bash", "zsh", "fish") complete the subcommands and options of
// `app`, and sessions where a subcommand takes one. Empty for other shells.
std::string CompletionScript(const CLI::App& app, std::string_view shell);

}  // namespace tools::cli

#endif  // TOOLS_CLI_COMPLETION_H_
