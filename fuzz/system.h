// What several targets ask of the system.
#ifndef FUZZ_SYSTEM_H_
#define FUZZ_SYSTEM_H_

#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "fuzz/input.h"

namespace fuzz {

// Waits for a child, which ends by itself. Returns its exit status.
inline int StatusOf(pid_t child) {
  int status = -1;
  pid_t ended = -1;
  // libFuzzer's clock interrupts.
  do {
    ended = waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  FUZZ_REQUIRE(ended == child && WIFEXITED(status));
  return WEXITSTATUS(status);
}

// A descriptor of a new file that is memory, of `size` zeros.
inline int MemoryFile(uint64_t size) {
  const int fd = memfd_create("file", MFD_CLOEXEC);
  FUZZ_REQUIRE(fd >= 0 && ftruncate(fd, static_cast<off_t>(size)) == 0);
  return fd;
}

}  // namespace fuzz

#endif  // FUZZ_SYSTEM_H_
