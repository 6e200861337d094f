// A program replaces itself while its device goes on: see live_update.cc.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"
#include "tests/support/shimmed.h"

namespace {

class LiveUpdateTest : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(LiveUpdateTest, TheDeviceGoesOnWhileTheProgramIsReplaced) {
  const tests::DiskImage image(1 << 20);
  const std::string device = std::string("nvme,addr=") + tests::kDevice + ",image=" + image.path() +
                             ",group=" + std::to_string(tests::kGroup);
  std::vector<std::string> command = GetParam();
  command.insert(command.begin(), tests::Runfile("tests/programs/live_update"));
  const tests::CommandResult result = tests::Preloaded(command, device).Run();
  EXPECT_EQ(result.status, 0) << result.output << result.errors;
  for (const char* expected :
       {" commands, 0 failures\n", "\nafter: 0 failures\n", "\nunmapped: refused\n"}) {
    EXPECT_NE(result.output.find(expected), std::string::npos) << result.output;
  }
  EXPECT_EQ(result.errors, "");
}

using Arguments = std::vector<std::string>;
INSTANTIATE_TEST_SUITE_P(Doors, LiveUpdateTest,
                         testing::Values(Arguments{"legacy", std::to_string(tests::kGroup),
                                                   tests::kDevice},
                                         Arguments{"native", "/dev/vfio/devices/vfio0"}),
                         [](const auto& info) { return info.param[0]; });

}  // namespace
