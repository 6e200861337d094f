// Disks that go bad while they are in use: errors reach the program, and what a flush has
// acknowledged stays.
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/programs/qemu_disk.h"
#include "tests/support/command.h"
#include "tests/support/shim.h"

namespace {

using tests::Command;
using tests::CommandResult;
using tests::kMebibyte;

// A shell function that waits until the first byte of $1 is $2. Meanwhile it sends empty lines:
// qemu-io takes one line each time that its input has something new, and keeps others it has read.
constexpr char kAwait[] =
    "await() { until [ \"$(head -c 1 \"$1\")\" = \"$2\" ]; do echo; sleep 0.02; done; }\n";

class BadDisksTest : public testing::Test {
 protected:
  void SetUp() override { SKIP_UNLESS_INSTALLED("qemu-io"); }

  // Runs, behind the words of `before`, a shell script with $TOOL and $IMAGE; `qemu_io` in it is
  // qemu-io under the library.
  static CommandResult Script(const std::string& image, const std::string& script,
                              std::vector<std::string> before = {}) {
    const std::string qemu_io =
        "qemu_io() { \"$TOOL\" run --device \"nvme,addr=0000:00:05.0,image=$IMAGE\" -- "
        "qemu-io -f raw nvme://0000:00:05.0/1 2>&1; }\n";
    before.insert(before.end(), {"sh", "-c", kAwait + qemu_io + script});
    return Command(before)
        .With("TOOL", tests::CommandLineTool())
        .With("IMAGE", image)
        .With("VFIO_COMPAT_LIBRARY", tests::PreloadLibrary())
        .Run();
  }
};

TEST_F(BadDisksTest, AnImageThatShrinksIsAnErrorWhereItIsGone) {
  const tests::DiskImage image(kMebibyte);
  const CommandResult result = Script(image.path(), R"(
    {
      echo write -P 0x41 0 512k
      echo flush
      await "$IMAGE" A
      truncate -s 256k "$IMAGE"
      echo read 512k 4k
      echo read -P 0x41 0 256k
      echo write -P 0x42 0 4k
      echo flush
      await "$IMAGE" B
    } | qemu_io)");
  EXPECT_NE(result.output.find("read failed: Input/output error"), std::string::npos)
      << result.output;
  EXPECT_EQ(result.output.find("verification failed"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("read 262144/262144 bytes at offset 0"), std::string::npos)
      << result.output;
  EXPECT_TRUE(tests::IsPattern(image.Read(0, 4096), 4096, 'B'));
  EXPECT_TRUE(tests::IsPattern(image.Read(4096, 4096), 4096, 'A'));
}

TEST_F(BadDisksTest, AFullDiskIsAnErrorAndLosesNothingThatWasFlushed) {
  const std::vector<std::string> unshare = geteuid() == 0
                                               ? std::vector<std::string>{"unshare", "-m"}
                                               : std::vector<std::string>{"unshare", "-Urm"};
  std::vector<std::string> probe = unshare;
  probe.insert(probe.end(), {"sh", "-c", "mount -t tmpfs none /mnt"});
  if (Command(probe).Run().status != 0) GTEST_SKIP() << "no file system may be mounted here";

  const CommandResult result = Script("/mnt/disk.img", R"(
    mount -t tmpfs -o size=2M none /mnt
    truncate -s 16M "$IMAGE"
    {
      echo write -P 0x41 0 512k
      echo flush
      await "$IMAGE" A
      echo write -P 0x42 1M 8M
      echo read -P 0x41 0 512k
    } | qemu_io
    printf '\nlost: '; head -c 512k "$IMAGE" | tr -d A | wc -c)",
                                      unshare);
  EXPECT_NE(result.output.find("write failed: "), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("read 524288/524288 bytes at offset 0"), std::string::npos)
      << result.output;
  EXPECT_EQ(result.output.find("verification failed"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("lost: 0\n"), std::string::npos) << result.output;
}

}  // namespace
