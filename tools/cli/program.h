// The program that `run` is to start: where it is, and whether LD_PRELOAD can reach it.
#ifndef TOOLS_CLI_PROGRAM_H_
#define TOOLS_CLI_PROGRAM_H_

#include <string>

#include "tools/cli/exit_status.h"

namespace tools::cli {

// Finds `name` as a shell does: by itself if it holds a slash, else in the folders of $PATH. Writes
// where it is to `path`. kNotFound if there is no such file, kCannotExecute if it cannot be
// executed.
Failure FindProgram(const std::string& name, std::string& path);

// Checks that the dynamic loader will honour LD_PRELOAD when the program at `path` is executed: a
// dynamic native ELF program that gains no rights from its file, or a script whose interpreter is
// one. kCannotExecute if not.
Failure CheckPreloadable(const std::string& path);

}  // namespace tools::cli

#endif  // TOOLS_CLI_PROGRAM_H_
