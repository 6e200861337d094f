#include "tests/control/processes.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace tests::control {
namespace {

[[noreturn]] void Execute(std::vector<std::string> arguments,
                          const std::vector<std::string>& environment) {
  // A test that is killed takes what it started with it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const std::string& setting : environment) {
    const size_t equals = setting.find('=');
    setenv(setting.substr(0, equals).c_str(), setting.substr(equals + 1).c_str(), 1);
  }
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  _exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment) {
  int input[2];
  int output[2];
  if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) std::abort();
  pid_ = fork();
  if (pid_ == 0) {
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    Execute(arguments, environment);
  }
  close(input[0]);
  close(output[1]);
  input_ = input[1];
  output_ = output[0];
}

Process::~Process() {
  Kill();
  close(input_);
  close(output_);
}

void Process::Signal(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

void Process::Kill() {
  if (pid_ < 0) return;
  Signal(SIGKILL);
  waitpid(std::exchange(pid_, -1), nullptr, 0);
}

bool Process::IsAlive() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

void Process::Write(const std::string& text) const {
  (void)!write(input_, text.data(), text.size());
}

std::string Process::ReadUntil(const std::string& end) {
  size_t place = 0;
  while ((place = read_.find(end)) == std::string::npos) {
    char buffer[4096];
    const ssize_t size = read(output_, buffer, sizeof(buffer));
    if (size <= 0) return "ENDED";
    read_.append(buffer, static_cast<size_t>(size));
  }
  std::string text = read_.substr(0, place);
  read_.erase(0, place + end.size());
  return text;
}

bool Process::IsQuietFor(int milliseconds) const {
  pollfd output{output_, POLLIN, 0};
  return read_.empty() && poll(&output, 1, milliseconds) == 0;
}

Daemon::Daemon() : folder_("/tmp/vfio_compat_control_XXXXXX") {
  if (mkdtemp(folder_.data()) == nullptr) std::abort();
  Start();
}

Daemon::~Daemon() {
  process_.reset();
  std::filesystem::remove_all(folder_);
}

void Daemon::Kill() { process_->Kill(); }

void Daemon::Start() {
  process_ = std::make_unique<Process>(
      std::vector<std::string>{Runfile("tools/daemon/vfio-compatd"), "--socket",
                               folder_ + "/control.sock", "--session-socket", session_socket()},
      std::vector<std::string>{});
}

std::shared_ptr<grpc::Channel> Daemon::Connect() const {
  // Channels of the same arguments would share connections, broken ones too.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A daemon that has just been started may not listen yet.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  auto channel = grpc::CreateCustomChannel("unix:" + folder_ + "/control.sock",
                                           grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(30))) {
    std::abort();
  }
  return channel;
}

QemuIo::QemuIo(const Daemon& daemon, const std::string& device, const std::string& url)
    : process_({"qemu-io", "-f", "raw", url},
               {"LD_PRELOAD=" + PreloadLibrary(), "VFIO_COMPAT_DEVICES=" + device,
                "VFIO_COMPAT_BACKEND=soft", "VFIO_COMPAT_CONTROL=" + daemon.session_socket()}) {
  Answer();
}

std::string QemuIo::Do(const std::string& command) {
  Send(command);
  return Answer();
}

}  // namespace tests::control
