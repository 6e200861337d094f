#include "tests/support/shimmed.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/shim.h"

namespace tests {
namespace {

constexpr char kStartedVariable[] = "SHIMMED_TEST_IMAGE";

// An image that outlives the exec; whoever made it removes it at the end.
std::string MakeImage() {
  const char* const folder = std::getenv("TEST_TMPDIR");
  std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/shimmed.XXXXXX";
  const int fd = mkstemp(path.data());
  const bool made = fd >= 0 && ftruncate(fd, kShimmedImageSize) == 0;
  close(fd);
  return made ? path : "";
}

std::string Devices(const std::string& image) {
  std::string devices;
  for (const ShimmedDevice& device : kShimmedDevices) {
    devices += std::string("nvme,addr=") + device.address +
               ",group=" + std::to_string(device.group) + ",image=" + image + ";";
  }
  return devices;
}

}  // namespace

int RunShimmed(char** argv, const std::function<int()>& body) {
  const char* const image = std::getenv(kStartedVariable);
  if (image != nullptr) {
    const int status = body();
    unlink(image);
    return status;
  }
  const std::string new_image = MakeImage();
  setenv(kStartedVariable, new_image.c_str(), 1);
  setenv("VFIO_COMPAT_DEVICES", Devices(new_image).c_str(), 1);
  setenv("LD_PRELOAD", PreloadLibrary().c_str(), 1);
  execv("/proc/self/exe", argv);
  std::perror("exec");
  return 1;
}

}  // namespace tests
