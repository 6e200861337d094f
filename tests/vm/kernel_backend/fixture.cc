#include "tests/vm/kernel_backend/fixture.h"

#include <cstdlib>
#include <fstream>
#include <string>

namespace tests {

std::vector<uint32_t> cdevs;

uint64_t PinnedBytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  uint64_t kilobytes = 0;
  while (status >> word) {
    if (word == "VmPin:") status >> kilobytes;
  }
  return kilobytes * 1024;
}

}  // namespace tests

// Arguments: the numbers N of /dev/vfio/devices/vfioN, two of them.
int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    tests::cdevs.push_back(static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10)));
  }
  return RUN_ALL_TESTS();
}
