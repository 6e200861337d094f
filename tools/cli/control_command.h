// The commands that speak to a daemon, handed to the program that carries them out.
#ifndef TOOLS_CLI_CONTROL_COMMAND_H_
#define TOOLS_CLI_CONTROL_COMMAND_H_

namespace tools::cli {

// Becomes vfio-compat-control with this process's arguments. It lies beside this program, or in
// ../libexec of it. Returns only if it cannot be had, with the exit status, having said why.
int BecomeControl(char** arguments);

}  // namespace tools::cli

#endif  // TOOLS_CLI_CONTROL_COMMAND_H_
