#include "tests/control/benchmarks/daemon_process.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/runfiles.h"

namespace tests::control {
namespace {

constexpr std::chrono::seconds kPatience{30};

std::string MakeFolder() {
  char folder[] = "/tmp/vfio-compat-XXXXXX";
  if (mkdtemp(folder) == nullptr) std::abort();
  return folder;
}

}  // namespace

DaemonProcess::DaemonProcess() : folder_(MakeFolder()) {
  const std::string program = Runfile("tools/daemon/vfio-compatd");
  const std::string socket = folder_ + "/control.sock";
  const std::string sessions = session_socket();
  process_ = fork();
  if (process_ == 0) {
    execl(program.c_str(), program.c_str(), "--log-level", "warn", "--session-socket",
          sessions.c_str(), "--socket", socket.c_str(), nullptr);
    std::perror(program.c_str());
    _exit(127);
  }
  const auto channel = grpc::CreateChannel(target(), grpc::InsecureChannelCredentials());
  if (channel->WaitForConnected(std::chrono::system_clock::now() + kPatience)) return;
  std::fprintf(stderr, "%s takes no connections\n", program.c_str());
  std::exit(1);
}

DaemonProcess::~DaemonProcess() {
  kill(process_, SIGTERM);
  waitpid(process_, nullptr, 0);
  std::filesystem::remove_all(folder_);
}

uint64_t DaemonProcess::resident_bytes() const {
  std::ifstream status("/proc/" + std::to_string(process_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace tests::control
