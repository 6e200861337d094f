// Calls before the preload library's constructors have run: from a function that runs before any
// constructor, libc's included, and from a library's constructor. main() uses what the latter
// opened.
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "tests/preload/subjects/early_library.h"

namespace {

// The environment is not there yet, so that nothing can be opened. That must not be held for the
// truth later.
void CallBeforeConstructors(int /*argc*/, char** /*argv*/, char** /*environment*/) {
  struct stat status;
  stat("/dev/vfio/vfio", &status);
  close(open("/dev/vfio/vfio", O_RDWR));
}

__attribute__((section(".preinit_array"),
               used)) void (*const kPreinit)(int, char**, char**) = CallBeforeConstructors;

}  // namespace

int main() {
  std::printf("early: %d, late: %d\n", early_version, ioctl(early_container, VFIO_GET_API_VERSION));
  return close(early_container) == 0 ? 0 : 1;
}
