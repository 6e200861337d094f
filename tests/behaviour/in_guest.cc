// main() of the behaviours on a real kernel, which has no containers: in_guest ADDRESS, of an NVMe
// controller that vfio-pci has.
#include <gtest/gtest.h>

#include <string>

#include "tests/behaviour/native.h"

namespace tests {
namespace {

std::string address;

}  // namespace

// QEMU's VT-d has no second-stage dirty bits.
std::vector<NamedMode> Modes() {
  return {{"kernel", [] { return MakeNative(address, /*has_dirty_tracking=*/false); },
           /*has_interrupts=*/true}};
}

}  // namespace tests

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  tests::address = argv[1];
  return RUN_ALL_TESTS();
}
