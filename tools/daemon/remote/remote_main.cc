// vfio-compat-remote [ID]: makes the calls that come through a socket, as a legacy program would.
//
// The daemon starts it under the preload library, with kSocket, the images of its disks, and
// nothing else. It becomes user ID, confines itself, and ends when the socket does.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/daemon/remote/calls.h"
#include "tools/daemon/remote/confine.h"
#include "tools/daemon/remote/maker.h"

namespace tools::daemon::remote {
namespace {

alignas(Call) std::array<std::byte, kMaxCall + 1> g_call;
alignas(Answer) std::array<std::byte, kMaxAnswer> g_answer;

bool Send(const Answer& answer) {
  std::memcpy(g_answer.data(), &answer, sizeof(answer));
  const size_t size = sizeof(answer) + answer.size;
  return send(kSocket, g_answer.data(), size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

// Waits for the next call. False if there is none, or something else.
bool Receive(Call& call) {
  ssize_t count = 0;
  do {
    count = recv(kSocket, g_call.data(), g_call.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count < static_cast<ssize_t>(sizeof(call)) || count > static_cast<ssize_t>(kMaxCall)) {
    return false;
  }
  std::memcpy(&call, g_call.data(), sizeof(call));
  return call.size == static_cast<size_t>(count) - sizeof(call);
}

// Answers kFork in the child, which makes the calls from then on, or waits for it to end. `depth`:
// how many parents there are above.
bool Fork(int& depth) {
  const pid_t child = depth == kMaxForks ? -1 : fork();
  if (child < 0) return Send({-1, EAGAIN, 0});
  if (child == 0) {
    ++depth;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return Send({});
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  // kExit is what ends a child well, and the parent answers it.
  return status == 0 && Send({});
}

int Serve() {
  Maker maker;
  if (!maker.Prepare()) return EXIT_FAILURE;
  int depth = 0;
  Call call{};
  while (Receive(call)) {
    if (call.operation == Operation::kFork) {
      if (!Fork(depth)) return EXIT_FAILURE;
    } else if (call.operation == Operation::kExit) {
      if (depth > 0) _exit(EXIT_SUCCESS);
      if (!Send({-1, ECHILD, 0})) return EXIT_FAILURE;
    } else {
      const Answer answer = maker.Make(call, {g_call.data() + sizeof(call), call.size},
                                       g_answer.data() + sizeof(Answer));
      if (!Send(answer)) return EXIT_FAILURE;
    }
  }
  // A child's parent is to end too.
  return depth > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace
}  // namespace tools::daemon::remote

int main(int argc, char** argv) {
  const auto id =
      argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : uint32_t{0};
  const char* failure = tools::daemon::remote::DropPrivileges(id);
  if (failure == nullptr) failure = tools::daemon::remote::FilterSystemCalls();
  if (failure != nullptr) {
    std::fprintf(stderr, "vfio-compat-remote: %s: %s\n", failure, std::strerror(errno));
    return EXIT_FAILURE;
  }
  return tools::daemon::remote::Serve();
}
