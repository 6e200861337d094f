// The units are right as systemd sees them, and confine the daemon as far as they claim.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/command.h"
#include "tests/support/runfiles.h"

namespace {

// Copies of the units, whose program is there.
class UnitsTest : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_UNLESS_INSTALLED("systemd-analyze");
    std::filesystem::create_directories(folder_);
    for (const std::string& unit : {service_, socket_}) {
      std::string text = tests::ReadFile(tests::Runfile("tools/daemon/systemd/" + unit));
      const std::string program = "/usr/sbin/vfio-compatd ";
      const size_t place = text.find(program);
      if (place != std::string::npos) text.replace(place, program.size(), "/bin/true ");
      ASSERT_TRUE(tests::WriteFile(folder_ + "/" + unit, text));
    }
  }

  const std::string folder_ = std::string(std::getenv("TEST_TMPDIR")) + "/units";
  const std::string service_ = "vfio-compatd.service";
  const std::string socket_ = "vfio-compatd.socket";
};

TEST_F(UnitsTest, SystemdFindsNothingWrong) {
  const tests::CommandResult result =
      tests::Command({"systemd-analyze", "verify", "--man=no", folder_ + "/" + service_,
                      folder_ + "/" + socket_})
          .Run();
  // It speaks of the machine's other units too.
  EXPECT_EQ(result.errors.find("vfio-compatd"), std::string::npos) << result.errors;
}

TEST_F(UnitsTest, AWrongLineWouldBeFound) {
  ASSERT_TRUE(tests::WriteFile(folder_ + "/" + service_, "[Service]\nExecStart=/bin/true\nX=\n"));
  const tests::CommandResult result =
      tests::Command({"systemd-analyze", "verify", "--man=no", folder_ + "/" + service_}).Run();
  EXPECT_NE(result.errors.find("vfio-compatd"), std::string::npos) << result.errors;
}

TEST_F(UnitsTest, TheDaemonIsExposedToLittle) {
  // In tenths; 100 is no protection at all.
  const tests::CommandResult result =
      tests::Command({"systemd-analyze", "security", "--offline=true", "--threshold=40",
                      "--no-pager", folder_ + "/" + service_})
          .Run();
  EXPECT_EQ(result.status, 0) << result.output << result.errors;
}

}  // namespace
