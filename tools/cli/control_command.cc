#include "tools/cli/control_command.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

#include "tools/cli/exit_status.h"

namespace tools::cli {
namespace {

constexpr char kName[] = "vfio-compat-control";
// From this program's folder: as installed in one folder, by a distribution, and as built.
constexpr const char* kFolders[] = {".", "../libexec", "../control"};

}  // namespace

int BecomeControl(char** arguments) {
  std::error_code ignored;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  std::filesystem::path path;
  for (const char* folder : kFolders) {
    path = own / folder / kName;
    if (access(path.c_str(), X_OK) == 0) break;
  }
  execv(path.c_str(), arguments);
  if (errno == ENOENT) {
    return Report({kNotFound, std::string(arguments[1]) + ": " + kName +
                                  " is not installed beside vfio-compat in " + own.string()});
  }
  return Report({kCannotExecute, path.string() + ": " + std::strerror(errno)});
}

}  // namespace tools::cli
