// A program with PASIDs under the library: see pasids.cc.
#include <gtest/gtest.h>

#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace {

TEST(PasidsTest, EachPasidHasAPageTableOfItsOwn) {
  const tests::CommandResult result =
      tests::Preloaded({tests::Runfile("tests/programs/pasids"), "/dev/vfio/devices/vfio0"},
                       "dma,addr=0000:00:03.0,pasid_bits=8")
          .Run();
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.output,
            "copied from PASID 1 to PASID 2\ncopied to where PASID 2 leads now\n"
            "PASID 2 leads nowhere\n");
  EXPECT_EQ(result.errors, "");
}

TEST(PasidsTest, ADeviceThatSaysNoneUsesNone) {
  const tests::CommandResult result =
      tests::Preloaded({tests::Runfile("tests/programs/pasids"), "/dev/vfio/devices/vfio0"},
                       "dma,addr=0000:00:03.0")
          .Run();
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(result.errors.substr(0, 14), "pasids: a copy") << result.errors;
}

}  // namespace
