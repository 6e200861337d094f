// The options that the running kernel was built with.
#ifndef TOOLS_CLI_KERNEL_CONFIG_H_
#define TOOLS_CLI_KERNEL_CONFIG_H_

#include <string>
#include <string_view>

namespace tools::cli {

// What an option was set to.
enum class OptionValue { kUnknown, kNo, kModule, kYes };

class KernelConfig {
 public:
  // Reads /proc/config.gz, /boot/config-RELEASE or /lib/modules/RELEASE/config below `root`, the
  // first that is there.
  static KernelConfig Read(const std::string& root, const std::string& release);

  // Whether a file was found.
  bool is_known() const { return !text_.empty(); }
  // The file that was read, without the root.
  const std::string& path() const { return path_; }
  // The value of the option `name` ("CONFIG_VFIO"); kUnknown if no file was found.
  OptionValue Value(std::string_view name) const;

 private:
  std::string text_;  // with a newline in front of each line
  std::string path_;
};

}  // namespace tools::cli

#endif  // TOOLS_CLI_KERNEL_CONFIG_H_
