#include "tests/support/command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace tests {
namespace {

constexpr int kTimeLimitMilliseconds = 120'000;

int Buffer(std::string_view contents) {
  const int fd = memfd_create("command", MFD_CLOEXEC);
  if (write(fd, contents.data(), contents.size()) < 0) return fd;
  lseek(fd, 0, SEEK_SET);
  return fd;
}

std::string TakeBuffer(int fd) {
  std::string contents(static_cast<size_t>(lseek(fd, 0, SEEK_END)), '\0');
  const ssize_t length = pread(fd, contents.data(), contents.size(), 0);
  contents.resize(length > 0 ? static_cast<size_t>(length) : 0);
  close(fd);
  return contents;
}

int WaitFor(pid_t child) {
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  pollfd ended{handle, POLLIN, 0};
  if (handle >= 0 && poll(&ended, 1, kTimeLimitMilliseconds) == 0) kill(child, SIGKILL);
  close(handle);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Command& Command::With(std::string_view name, std::string_view value) {
  environment_.push_back(std::string(name) + "=" + std::string(value));
  return *this;
}

Command& Command::WithInput(std::string_view input) {
  input_ = input;
  return *this;
}

void Command::Execute(int input, int output, int errors) const {
  // A test that is killed takes what it started with it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  for (const std::string& assignment : environment_) {
    putenv(const_cast<char*>(assignment.c_str()));
  }
  std::vector<char*> arguments;
  for (const std::string& argument : arguments_) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

CommandResult Command::Run() const {
  const int input = Buffer(input_);
  const int output = Buffer("");
  const int errors = Buffer("");
  const pid_t child = fork();
  if (child == 0) Execute(input, output, errors);
  CommandResult result;
  result.status = WaitFor(child);
  close(input);
  result.output = TakeBuffer(output);
  result.errors = TakeBuffer(errors);
  return result;
}

bool IsInstalled(std::string_view program) {
  const char* const path = std::getenv("PATH");
  std::string_view folders = path != nullptr ? path : "/bin:/usr/bin";
  while (true) {
    const size_t colon = folders.find(':');
    const auto file = std::filesystem::path(folders.substr(0, colon)) / program;
    if (access(file.c_str(), X_OK) == 0) return true;
    if (colon == std::string_view::npos) return false;
    folders.remove_prefix(colon + 1);
  }
}

}  // namespace tests
