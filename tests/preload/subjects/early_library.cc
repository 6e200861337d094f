#include "tests/preload/subjects/early_library.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

int early_container = -1;
int early_version = -1;

namespace {

__attribute__((constructor)) void CallEarly() {
  early_container = open("/dev/vfio/vfio", O_RDWR);
  early_version = ioctl(early_container, VFIO_GET_API_VERSION);
}

}  // namespace
