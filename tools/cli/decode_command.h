// `vfio-compat decode`: what a call's number means.
#ifndef TOOLS_CLI_DECODE_COMMAND_H_
#define TOOLS_CLI_DECODE_COMMAND_H_

#include "tools/cli/options.h"

namespace tools::cli {

// Prints every meaning of the number. Returns the exit status: kNoMeaning if it has none there.
int RunDecode(const DecodeOptions& options);

}  // namespace tools::cli

#endif  // TOOLS_CLI_DECODE_COMMAND_H_
