// Has the allocation fail that the program's tester names, as /proc/PID/task/TID/fail-nth does on
// kernels that are built for that: `fail-nth` in the folder $FAIL_NTH is an ioas::ArenaFailure.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "ioas/base/testing/failing_arena.h"

namespace compat::native {
namespace {

__attribute__((constructor)) void ShareFailure() {
  const char* const folder = std::getenv("FAIL_NTH");
  if (folder == nullptr) return;
  const int fd = open((std::string(folder) + "/fail-nth").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) std::abort();
  void* const shared =
      mmap(nullptr, sizeof(ioas::ArenaFailure), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (shared == MAP_FAILED) std::abort();
  ioas::FailArenasAs(static_cast<ioas::ArenaFailure*>(shared));
}

}  // namespace
}  // namespace compat::native
