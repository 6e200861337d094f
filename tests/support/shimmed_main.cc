// main() of a test whose cases are themselves the program under the library: it starts itself again
// with the library preloaded and the devices of shimmed.h, then runs its cases.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/runfiles.h"
#include "tests/support/shim.h"
#include "tests/support/shimmed.h"

namespace {

constexpr char kStartedVariable[] = "SHIMMED_TEST_IMAGE";

// An image that outlives the exec; whoever made it removes it at the end.
std::string MakeImage() {
  const char* const folder = std::getenv("TEST_TMPDIR");
  std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/shimmed.XXXXXX";
  const int fd = mkstemp(path.data());
  const bool made = fd >= 0 && ftruncate(fd, tests::kShimmedImageSize) == 0;
  close(fd);
  return made ? path : "";
}

std::string Devices(const std::string& image) {
  std::string devices;
  for (const tests::ShimmedDevice& device : tests::kShimmedDevices) {
    devices += std::string("nvme,addr=") + device.address +
               ",group=" + std::to_string(device.group) + ",image=" + image + ";";
  }
  return devices;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const char* const image = std::getenv(kStartedVariable);
  if (image != nullptr) {
    const int status = RUN_ALL_TESTS();
    unlink(image);
    return status;
  }
  const std::string new_image = MakeImage();
  setenv(kStartedVariable, new_image.c_str(), 1);
  setenv("VFIO_COMPAT_DEVICES", Devices(new_image).c_str(), 1);
  setenv("LD_PRELOAD", tests::PreloadLibrary().c_str(), 1);
  execv("/proc/self/exe", argv);
  std::perror("exec");
  return 1;
}
