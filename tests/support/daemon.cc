#include "tests/support/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "tests/support/runfiles.h"

namespace tests {
namespace {

constexpr int kPatienceMilliseconds = 30'000;

// A socket that takes notifications.
int ListenAsManager(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) std::abort();
  return fd;
}

}  // namespace

ShortFolder::ShortFolder() : path_("/tmp/vfio_compat.XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) std::abort();
  // Other users connect to sockets in it.
  std::filesystem::permissions(path_, std::filesystem::perms{0755});
}

ShortFolder::~ShortFolder() { std::filesystem::remove_all(path_); }

Daemon::Daemon(const std::vector<std::string>& options, const std::vector<int>& sockets)
    : manager_(ListenAsManager(folder_.path() + "/notify.sock")), pid_(fork()) {
  if (pid_ == 0) Execute(options, sockets);
  status_ = NextNotification();
  is_ready_ = status_.rfind("READY=1", 0) == 0;
}

Daemon::~Daemon() {
  Stop();
  close(manager_);
}

void Daemon::Execute(const std::vector<std::string>& options,
                     const std::vector<int>& sockets) const {
  std::vector<std::string> arguments = {Runfile("tools/daemon/vfio-compatd"), "--remote",
                                        Runfile("tools/daemon/remote/vfio-compat-remote"),
                                        "--library", Runfile("compat/preload/libvfio_compat.so")};
  if (sockets.empty()) {
    for (const std::string& each :
         {std::string("--socket"), socket(), std::string("--session-socket"), session_socket()}) {
      arguments.push_back(each);
    }
  }
  arguments.insert(arguments.end(), options.begin(), options.end());
  std::vector<char*> pointers;
  for (std::string& each : arguments) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  std::vector<int> aside;
  for (const int fd : sockets) aside.push_back(fcntl(fd, F_DUPFD, 100));
  for (size_t i = 0; i < aside.size(); ++i) dup2(aside[i], 3 + static_cast<int>(i));
  if (!sockets.empty()) {
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(sockets.size()).c_str(), 1);
  }
  setenv("NOTIFY_SOCKET", (folder_.path() + "/notify.sock").c_str(), 1);
  execv(pointers[0], pointers.data());
  std::perror(pointers[0]);
  _exit(127);
}

std::string Daemon::NextNotification() {
  // A daemon that ends says nothing.
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  std::array<pollfd, 2> waits{{{manager_, POLLIN, 0}, {pidfd, POLLIN, 0}}};
  poll(waits.data(), waits.size(), kPatienceMilliseconds);
  close(pidfd);
  std::array<char, 4096> text{};
  const ssize_t size = recv(manager_, text.data(), text.size(), MSG_DONTWAIT);
  return {text.data(), size > 0 ? static_cast<size_t>(size) : 0};
}

int Daemon::PortOf(const std::string& name) const {
  const size_t place = status_.find(name + " on port ");
  if (place == std::string::npos) return 0;
  return std::atoi(status_.c_str() + place + name.size() + std::strlen(" on port "));
}

void Daemon::Reload() {
  kill(pid_, SIGHUP);
  NextNotification();  // RELOADING=1
  NextNotification();  // READY=1
}

int Daemon::Stop() {
  if (pid_ < 0) return -1;
  kill(pid_, SIGTERM);
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace tests
