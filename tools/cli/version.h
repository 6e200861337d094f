#ifndef TOOLS_CLI_VERSION_H_
#define TOOLS_CLI_VERSION_H_

namespace tools::cli {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace tools::cli

#endif  // TOOLS_CLI_VERSION_H_
