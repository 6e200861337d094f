// The exit statuses of the command line when it cannot do what it was asked.
#ifndef TOOLS_CLI_EXIT_STATUS_H_
#define TOOLS_CLI_EXIT_STATUS_H_

#include <string>

namespace tools::cli {

inline constexpr int kNoMeaning = 1;        // decode: nothing has the number
inline constexpr int kUnfit = 1;            // doctor: legacy programs would fail here
inline constexpr int kUsage = 2;            // what was asked makes no sense
inline constexpr int kCannotExecute = 126;  // run: the program is there but cannot be run, as in sh
inline constexpr int kNotFound = 127;       // run: there is no such program, as in sh

// Why a command ends early; status 0 means that it does not.
struct Failure {
  int status = 0;
  std::string message;  // one line

  explicit operator bool() const { return status != 0; }
};

// Prints the failure on standard error and returns its status.
int Report(const Failure& failure);

}  // namespace tools::cli

#endif  // TOOLS_CLI_EXIT_STATUS_H_
