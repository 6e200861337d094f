// Running another program to its end and looking at what came of it.
#ifndef TESTS_SUPPORT_COMMAND_H_
#define TESTS_SUPPORT_COMMAND_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tests {

struct CommandResult {
  int status = -1;     // as $? in a shell: 128 + N if signal N ended it
  std::string output;  // what it wrote on standard output
  std::string errors;  // and on standard error
};

// A program, its arguments, and changes to the environment it gets.
class Command {
 public:
  // The first argument is the program: a path, or a name that is looked up in $PATH.
  explicit Command(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}

  // Sets an environment variable for the program.
  Command& With(std::string_view name, std::string_view value);

  // The program's standard input; empty without this.
  Command& WithInput(std::string_view input);

  // Runs the program until it ends. After two minutes it is killed, which shows as status 137.
  CommandResult Run() const;

 private:
  [[noreturn]] void Execute(int input, int output, int errors) const;

  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
  std::string input_;
};

// Whether a program of this name is in $PATH.
bool IsInstalled(std::string_view program);

}  // namespace tests

// Skips the test, and says why, unless `program` is installed.
#define SKIP_UNLESS_INSTALLED(program)                                    \
  do {                                                                    \
    if (!tests::IsInstalled(program)) {                                   \
      GTEST_SKIP() << "the program " << (program) << " is not installed"; \
    }                                                                     \
  } while (false)

#endif  // TESTS_SUPPORT_COMMAND_H_
