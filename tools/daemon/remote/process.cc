#include "tools/daemon/remote/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compat/settings/environment.h"
#include "tools/daemon/errors/errors.h"

namespace tools::daemon::remote {
namespace {

// Above every number that a descriptor has in the process.
constexpr int kAside = 64;

absl::Status Lacks(absl::string_view what) {
  return Error(absl::StatusCode::kUnavailable, "CLIENT_NOT_STARTED",
               absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::Status Ended(absl::string_view how) {
  return Error(absl::StatusCode::kUnavailable, "CLIENT_ENDED", how);
}

// Descriptors that are closed with this object, at numbers from kAside on.
class Descriptors {
 public:
  Descriptors() = default;
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  ~Descriptors() {
    for (const int fd : fds_) close(fd);
  }

  // Takes `fd` over. False if it is none, or there is no room.
  bool Take(int fd) {
    if (fd < 0) return false;
    const int aside = fcntl(fd, F_DUPFD_CLOEXEC, kAside);
    close(fd);
    if (aside >= 0) fds_.push_back(aside);
    return aside >= 0;
  }
  const std::vector<int>& fds() const { return fds_; }

 private:
  std::vector<int> fds_;
};

// A disk of zeros, that stays as large as it is.
int NewDisk(uint64_t size) {
  const int fd = memfd_create("vfio-compat-disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return fd;
  if (ftruncate(fd, static_cast<off_t>(size)) == 0 &&
      fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0) {
    return fd;
  }
  close(fd);
  return -1;
}

// What is done to the daemon's state on the way to the program.
class SpawnPlan {
 public:
  // `fds`: what becomes kSocket and the numbers above it.
  explicit SpawnPlan(const std::vector<int>& fds) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions_, STDIN_FILENO, STDOUT_FILENO);
    int number = kSocket;
    for (const int fd : fds) posix_spawn_file_actions_adddup2(&actions_, fd, number++);
    posix_spawn_file_actions_addclosefrom_np(&actions_, number);
    posix_spawn_file_actions_addchdir_np(&actions_, "/");
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  // Returns the process, or -1 with errno.
  pid_t Spawn(const std::string& program, uint32_t id,
              const std::vector<std::string>& environment) {
    std::string number = std::to_string(id);
    std::string name = "vfio-compat-remote";
    char* const arguments[] = {name.data(), number.data(), nullptr};
    std::vector<char*> variables;
    for (const std::string& each : environment)
      variables.push_back(const_cast<char*>(each.c_str()));
    variables.push_back(nullptr);
    pid_t pid = -1;
    errno =
        posix_spawn(&pid, program.c_str(), &actions_, &attributes_, arguments, variables.data());
    return errno == 0 ? pid : -1;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

std::vector<std::string> EnvironmentFor(const ProcessOptions& options,
                                        compat::settings::Settings settings) {
  int number = kFirstImage;
  for (compat::settings::DeviceSettings& device : settings.devices) {
    if (device.kind != compat::settings::DeviceKind::kNvme) continue;
    device.image = "/proc/self/fd/" + std::to_string(number++);
  }
  settings.backend = compat::settings::Backend::kSoft;
  // A client could fill the daemon's log otherwise.
  settings.log_level = compat::settings::LogLevel::kError;
  settings.control = options.control;
  std::vector<std::string> environment = compat::settings::ToEnvironment(settings);
  environment.push_back("LD_PRELOAD=" + options.library);
  return environment;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Start(const ProcessOptions& options,
                                                        compat::settings::Settings settings,
                                                        uint64_t disk_bytes, uint32_t id) {
  std::array<int, 2> sockets{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
    return Lacks("no socket for a client");
  }
  const int socket = sockets[0];
  Descriptors descriptors;
  bool has_all = descriptors.Take(sockets[1]);
  for (const compat::settings::DeviceSettings& device : settings.devices) {
    const bool has_disk = device.kind == compat::settings::DeviceKind::kNvme;
    if (has_all && has_disk) has_all = descriptors.Take(NewDisk(disk_bytes));
  }
  const pid_t pid =
      has_all ? SpawnPlan(descriptors.fds())
                    .Spawn(options.program, id, EnvironmentFor(options, std::move(settings)))
              : -1;
  if (pid < 0) {
    const absl::Status failure = Lacks("no process for a client");
    close(socket);
    return failure;
  }
  return std::unique_ptr<Process>(new Process(pid, socket, options.patience));
}

Process::~Process() {
  End();
  close(socket_);
}

void Process::End() {
  // Wakes who waits for an answer.
  shutdown(socket_, SHUT_RDWR);
  const std::lock_guard lock(mutex_);
  Reap();
}

void Process::Reap() {
  if (std::exchange(has_ended_, true)) return;
  kill(-pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

absl::Status Process::SendCall(const Call& call, absl::string_view bytes) {
  iovec parts[] = {{const_cast<Call*>(&call), sizeof(call)},
                   {const_cast<char*>(bytes.data()), bytes.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return absl::OkStatus();
  return Ended("the client's process has ended");
}

absl::StatusOr<Answer> Process::ReceiveAnswer(std::string& out) {
  pollfd waits{socket_, POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&waits, 1, static_cast<int>(patience_.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return Ended("the call took too long: the client's process was ended");
  Answer answer{};
  out.resize(kMaxBytes);
  iovec parts[] = {{&answer, sizeof(answer)}, {out.data(), out.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  const ssize_t count = recvmsg(socket_, &message, MSG_DONTWAIT);
  const bool is_whole = count >= static_cast<ssize_t>(sizeof(answer)) &&
                        (message.msg_flags & MSG_TRUNC) == 0 &&
                        answer.size == static_cast<size_t>(count) - sizeof(answer);
  if (!is_whole) return Ended("the client's process has ended");
  out.resize(answer.size);
  return answer;
}

absl::StatusOr<Answer> Process::Make(Call call, absl::string_view bytes, std::string& out) {
  const std::lock_guard lock(mutex_);
  if (has_ended_) return Ended("the client's process has ended");
  call.size = static_cast<uint32_t>(bytes.size());
  if (absl::Status sent = SendCall(call, bytes); !sent.ok()) {
    Reap();
    return sent;
  }
  absl::StatusOr<Answer> answer = ReceiveAnswer(out);
  if (!answer.ok()) Reap();
  return answer;
}

}  // namespace tools::daemon::remote
