// Programs' lives in processes of their own: what the library keeps of a process is new in each.
#ifndef TESTS_FAULTS_CHILD_H_
#define TESTS_FAULTS_CHILD_H_

#include <sys/wait.h>
#include <unistd.h>

namespace tests {

// How long a child may take before it is taken to hang, in seconds.
inline constexpr unsigned kChildSeconds = 20;

// Runs `body` in a forked child and returns what it returned (0 to 255), or 256 + the signal.
template <typename Body>
int InChild(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(kChildSeconds);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace tests

#endif  // TESTS_FAULTS_CHILD_H_
