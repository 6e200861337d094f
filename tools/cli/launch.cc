#include "tools/cli/launch.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "tools/cli/exit_status.h"

namespace tools::cli {
namespace {

// Signals that another process sends to `run` when it means the program.
constexpr int kForwardedSignals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                                     SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH};

bool NamesSame(std::string_view assignment, std::string_view other) {
  const std::string_view name = other.substr(0, other.find('='));
  return assignment.starts_with(name) && assignment.size() > name.size() &&
         assignment[name.size()] == '=';
}

bool AnyNamesSame(std::string_view assignment, const std::vector<std::string>& others) {
  return std::any_of(others.begin(), others.end(), [assignment](const std::string& other) {
    return NamesSame(assignment, other);
  });
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) {
    pointers.push_back(const_cast<char*>(string.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// Takes the signals that Launch handles from their usual course, and gives them back.
class CaughtSignals {
 public:
  CaughtSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGCHLD);
    for (const int signal : kForwardedSignals) sigaddset(&set_, signal);
    sigprocmask(SIG_BLOCK, &set_, &old_mask_);
    // Where SIGCHLD is ignored, the system reaps children and loses their status.
    struct sigaction defaults {};
    defaults.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &defaults, &old_child_action_);
  }
  CaughtSignals(const CaughtSignals&) = delete;
  CaughtSignals& operator=(const CaughtSignals&) = delete;
  ~CaughtSignals() { Restore(); }

  // In the child, before it becomes the program.
  void Restore() const {
    sigaction(SIGCHLD, &old_child_action_, nullptr);
    sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  }

  // Waits for the next signal; its number is 0 if the wait was interrupted.
  siginfo_t Wait() const {
    siginfo_t information{};
    if (sigwaitinfo(&set_, &information) < 0) information.si_signo = 0;
    return information;
  }

 private:
  sigset_t set_;
  sigset_t old_mask_;
  struct sigaction old_child_action_ {};
};

[[noreturn]] void Execute(const std::string& path, const std::vector<std::string>& arguments,
                          const std::vector<std::string>& environment) {
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment_pointers = Pointers(environment);
  execve(path.c_str(), argument_pointers.data(), environment_pointers.data());
  const int status = errno == ENOENT ? kNotFound : kCannotExecute;
  _exit(Report({status, path + ": " + std::strerror(errno)}));
}

// Takes what waitpid() knows of the child. Returns whether it has ended, with `status` set.
bool Reap(pid_t child, int& status) {
  while (waitpid(child, &status, WNOHANG | WUNTRACED) > 0) {
    if (!WIFSTOPPED(status)) return true;
    // The shell's job is this process: stop too, until the shell continues the whole group. Who
    // sends SIGSTOP means the program alone, and would not continue this process.
    if (WSTOPSIG(status) != SIGSTOP) raise(SIGSTOP);
  }
  return false;
}

}  // namespace

std::vector<std::string> EnvironmentWith(const std::vector<std::string>& assignments,
                                         const std::vector<std::string>& removed) {
  std::vector<std::string> environment;
  for (char** each = environ; *each != nullptr; ++each) {
    if (!AnyNamesSame(*each, assignments) && !AnyNamesSame(*each, removed)) {
      environment.emplace_back(*each);
    }
  }
  environment.insert(environment.end(), assignments.begin(), assignments.end());
  return environment;
}

int Launch(const std::string& path, const std::vector<std::string>& arguments,
           const std::vector<std::string>& environment) {
  const CaughtSignals signals;
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    signals.Restore();
    Execute(path, arguments, environment);
  }
  int status = 0;
  while (!Reap(child, status)) {
    const siginfo_t signal = signals.Wait();
    // What the kernel sends (a terminal's signals) goes to the whole foreground group already.
    const bool sent_to_us = signal.si_code <= 0 && signal.si_pid != child;
    if (signal.si_signo != 0 && signal.si_signo != SIGCHLD && sent_to_us) {
      kill(child, signal.si_signo);
    }
  }
  return status;
}

void ExitLike(int wait_status) {
  if (WIFEXITED(wait_status)) std::exit(WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  // The program has left its core already.
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  std::fflush(nullptr);
  struct sigaction defaults {};
  defaults.sa_handler = SIG_DFL;
  sigaction(signal, &defaults, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  raise(signal);
  std::exit(128 + signal);
}

}  // namespace tools::cli
