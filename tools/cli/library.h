// The preload library, as it is found and handed to a program.
#ifndef TOOLS_CLI_LIBRARY_H_
#define TOOLS_CLI_LIBRARY_H_

#include <string>

#include "tools/cli/exit_status.h"

namespace tools::cli {

// Finds libvfio_compat.so: $VFIO_COMPAT_LIBRARY, or ../lib/ from the folder this program is in.
// Writes its absolute path to `path`. kUsage if it is not there, or if its path cannot be named in
// LD_PRELOAD, which takes spaces and colons for separators.
Failure FindLibrary(std::string& path);

// "LD_PRELOAD=..." with the library before what the environment preloads already.
std::string PreloadAssignment(const std::string& library);

}  // namespace tools::cli

#endif  // TOOLS_CLI_LIBRARY_H_
