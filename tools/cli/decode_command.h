// `vfio-compat decode`: what a call's number means.
#ifndef TOOLS_CLI_DECODE_COMMAND_H_
#define TOOLS_CLI_DECODE_COMMAND_H_

#include <string>

namespace tools::cli {

struct DecodeOptions {
  std::string number;  // of a request, in any form that CallsNumbered knows, or a call's name
  std::string kind;    // of the descriptor; empty: all
  std::string type;    // of the container; empty: all
  bool json = false;
};

// Prints every meaning of the number. Returns the exit status: kNoMeaning if it has none there.
int RunDecode(const DecodeOptions& options);

}  // namespace tools::cli

#endif  // TOOLS_CLI_DECODE_COMMAND_H_
