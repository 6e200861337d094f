#include "tests/behaviour/software_host.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace tests {
namespace {

constexpr char kDaemonVariable[] = "BEHAVIOUR_DAEMON";

struct Row {
  const char* address;
  uint32_t group;
  const char* iommu;
};
// In the order of Machine.
constexpr Row kRows[] = {{"0000:00:05.0", 7, "auto"},
                         {"0000:00:06.0", 8, "x86"},
                         {"0000:00:07.0", 9, "power"},
                         {"0000:00:08.0", 10, "sign-extended"}};

// Has the daemon freeze this process's devices, or thaw them.
int FreezeByDaemon(bool freeze) {
  const CommandResult result = AskDaemon(freeze ? "freeze" : "thaw", {});
  EXPECT_EQ(result.status, 0) << result.errors;
  return result.status;
}

std::string Devices(const std::string& image) {
  std::string devices;
  for (const Row& row : kRows) {
    devices += std::string("nvme,addr=") + row.address + ",group=" + std::to_string(row.group) +
               ",iommu=" + row.iommu + ",image=" + image + ";";
  }
  return devices;
}

}  // namespace

CommandResult AskDaemon(const std::string& command, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {Runfile("tools/control/vfio-compat-control"), command,
                                    std::to_string(getpid())};
  words.insert(words.end(), arguments.begin(), arguments.end());
  words.insert(words.end(), {"--host", std::getenv(kDaemonVariable)});
  const Command asked = Command(words).With("LD_PRELOAD", "");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  CommandResult result = asked.Run();
  while (result.errors.find("no session") != std::string::npos &&
         std::chrono::steady_clock::now() < deadline) {
    result = asked.Run();
  }
  return result;
}

LegacyPlace PlaceOf(Machine machine) {
  const Row& row = kRows[static_cast<int>(machine)];
  return {row.group, row.address, FreezeByDaemon};
}

int RunOnSoftwareHost(char** argv, const std::vector<std::pair<std::string, std::string>>& more,
                      const std::function<int()>& body) {
  if (std::getenv(kDaemonVariable) != nullptr) return body();
  const DiskImage image(1 << 20);
  const Daemon daemon({});
  if (!daemon.is_ready()) return 1;
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("VFIO_COMPAT_DEVICES", Devices(image.path()).c_str(), 1);
    setenv("VFIO_COMPAT_CONTAINER", "both", 1);
    setenv("VFIO_COMPAT_CONTROL", daemon.session_socket().c_str(), 1);
    for (const auto& [name, value] : more) setenv(name.c_str(), value.c_str(), 1);
    setenv(kDaemonVariable, ("unix:" + daemon.socket()).c_str(), 1);
    setenv("LD_PRELOAD", PreloadLibrary().c_str(), 1);
    execv("/proc/self/exe", argv);
    std::perror("exec");
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace tests
