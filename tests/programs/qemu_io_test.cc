// QEMU's own NVMe driver, as Debian ships it, on emulated disks.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <string>

#include "tests/programs/qemu_disk.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace {

using tests::CommandResult;
using tests::IsPattern;
using tests::kMebibyte;
using tests::QemuDisk;
using tests::QemuIo;
using tests::RunTool;

constexpr char kAddress[] = "0000:00:05.0";
constexpr char kOtherAddress[] = "0000:00:06.0";
// An odd multiple of 512.
constexpr uint64_t kOddOffset = 24691 * 512;

void ExpectSuccess(const CommandResult& result) {
  EXPECT_EQ(result.status, 0) << result.output << result.errors;
  EXPECT_EQ(result.output.find("verification failed"), std::string::npos) << result.output;
  EXPECT_EQ(result.output.find("error"), std::string::npos) << result.output;
}

class QemuIoTest : public testing::Test {
 protected:
  void SetUp() override { SKIP_UNLESS_INSTALLED("qemu-io"); }
};

TEST_F(QemuIoTest, PatternsAreReadBackAndAreInTheImage) {
  const QemuDisk disk(kAddress, 64 * kMebibyte);
  const std::string odd = std::to_string(kOddOffset);
  ExpectSuccess(RunTool({&disk}, {},
                        QemuIo(disk, {"write -P 0xab 0 1M", "write -P 0xcd 8M 4k",
                                      "write -P 0x5a " + odd + " 64k"}))
                    .Run());
  ExpectSuccess(RunTool({&disk}, {},
                        QemuIo(disk, {"read -P 0xab 0 1M", "read -P 0xcd 8M 4k",
                                      "read -P 0x5a " + odd + " 64k"}))
                    .Run());
  EXPECT_TRUE(IsPattern(disk.image().Read(0, kMebibyte), kMebibyte, 0xab));
  EXPECT_TRUE(IsPattern(disk.image().Read(8 * kMebibyte, 4096), 4096, 0xcd));
  EXPECT_TRUE(IsPattern(disk.image().Read(kOddOffset, 65536), 65536, 0x5a));
  EXPECT_TRUE(IsPattern(disk.image().Read(kOddOffset - 512, 512), 512, 0));
}

TEST_F(QemuIoTest, TheLibraryAloneIsEnough) {
  const QemuDisk disk(kAddress, 16 * kMebibyte);
  ExpectSuccess(
      tests::Preloaded(QemuIo(disk, {"write -P 1 0 1M", "read -P 1 0 1M"}), disk.device()).Run());
  EXPECT_TRUE(IsPattern(disk.image().Read(0, kMebibyte), kMebibyte, 1));
}

TEST_F(QemuIoTest, DisksWithBlocksOf4096BytesWork) {
  const QemuDisk disk(kAddress, 16 * kMebibyte, ",block_size=4096");
  ExpectSuccess(
      RunTool({&disk}, {},
              QemuIo(disk, {"write -P 7 4k 4k", "read -P 7 4k 4k", "read -P 0 8k 1M",
                            // QEMU reads the block and writes all of it back.
                            "write -P 9 4608 512", "read -P 9 4608 512", "read -P 7 4k 512"}))
          .Run());
  EXPECT_TRUE(IsPattern(disk.image().Read(4608, 512), 512, 9));
  EXPECT_TRUE(IsPattern(disk.image().Read(5120, 3072), 3072, 7));
}

TEST_F(QemuIoTest, ZeroesAndDiscardsReachTheImage) {
  const QemuDisk disk(kAddress, 16 * kMebibyte);
  ExpectSuccess(RunTool({&disk}, {},
                        QemuIo(disk, {"write -P 7 0 1M", "write -z 64k 64k", "flush",
                                      "discard 128k 64k", "read -P 0 64k 64k", "read -P 7 0 64k"}))
                    .Run());
  EXPECT_TRUE(IsPattern(disk.image().Read(65536, 65536), 65536, 0));
  EXPECT_TRUE(IsPattern(disk.image().Read(0, 65536), 65536, 7));
}

TEST_F(QemuIoTest, ManyRequestsAtOnceAllEnd) {
  const QemuDisk disk(kAddress, 64 * kMebibyte);
  std::vector<std::string> commands;
  for (int i = 0; i < 200; ++i) {
    commands.push_back("aio_write -P " + std::to_string(i + 1) + " " + std::to_string(i * 128) +
                       "k 128k");
  }
  commands.emplace_back("aio_flush");
  for (int i = 0; i < 200; ++i) {
    commands.push_back("aio_read -P " + std::to_string(i + 1) + " " + std::to_string(i * 128) +
                       "k 128k");
  }
  commands.emplace_back("aio_flush");
  ExpectSuccess(RunTool({&disk}, {}, QemuIo(disk, commands)).Run());
}

TEST_F(QemuIoTest, TwoDisksAreTwoDisks) {
  const QemuDisk first(kAddress, 16 * kMebibyte);
  const QemuDisk second(kOtherAddress, 16 * kMebibyte);
  for (const QemuDisk* disk : {&first, &second}) {
    const std::string byte = disk == &first ? "1" : "2";
    ExpectSuccess(
        RunTool({&first, &second}, {}, QemuIo(*disk, {"write -P " + byte + " 0 64k"})).Run());
  }
  EXPECT_TRUE(IsPattern(first.image().Read(0, 65536), 65536, 1));
  EXPECT_TRUE(IsPattern(second.image().Read(0, 65536), 65536, 2));
}

TEST_F(QemuIoTest, DisksOfOneGroupAreUsedOneAfterTheOther) {
  const QemuDisk first(kAddress, 16 * kMebibyte, ",group=3");
  const QemuDisk second(kOtherAddress, 16 * kMebibyte, ",group=3");
  for (const QemuDisk* disk : {&first, &second}) {
    ExpectSuccess(
        RunTool({&first, &second}, {}, QemuIo(*disk, {"write -P 5 0 64k", "read -P 5 0 64k"}))
            .Run());
    EXPECT_TRUE(IsPattern(disk->image().Read(0, 65536), 65536, 5));
  }
  // QEMU opens the group for each disk, and a group is opened once at a time.
  const CommandResult both =
      RunTool({&first, &second}, {},
              {"qemu-img", "compare", "-f", "raw", "-F", "raw", first.url(), second.url()})
          .Run();
  EXPECT_NE(both.status, 0);
  EXPECT_NE(both.errors.find("Device or resource busy"), std::string::npos) << both.errors;
}

TEST_F(QemuIoTest, ImagesAreCopiedInAcrossAndOut) {
  SKIP_UNLESS_INSTALLED("qemu-img");
  constexpr uint64_t kSize = 64 * kMebibyte;
  const QemuDisk first(kAddress, kSize);
  const QemuDisk second(kOtherAddress, kSize);
  const tests::DiskImage source(kSize);
  const tests::DiskImage target(kSize);
  {
    std::ofstream file(source.path(), std::ios::binary | std::ios::in);
    std::mt19937_64 random(1);
    for (uint64_t i = 0; i < kSize / sizeof(uint64_t); ++i) {
      const uint64_t word = random();
      file.write(reinterpret_cast<const char*>(&word), sizeof(word));
    }
  }
  const auto convert = [&](const std::string& from, const std::string& to) {
    ExpectSuccess(RunTool({&first, &second}, {},
                          {"qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", from, to})
                      .Run());
  };
  convert(source.path(), first.url());
  convert(first.url(), second.url());
  convert(second.url(), target.path());
  const std::string contents = tests::ReadFile(source.path());
  EXPECT_TRUE(contents == tests::ReadFile(first.image().path()));
  EXPECT_TRUE(contents == tests::ReadFile(second.image().path()));
  EXPECT_TRUE(contents == tests::ReadFile(target.path()));
}

TEST_F(QemuIoTest, ARefusedRangeIsAnIoErrorThatTheSummaryExplains) {
  const QemuDisk disk(kAddress, 16 * kMebibyte);
  // QEMU maps the buffers of single requests downwards from 1 << 39, Identify's first.
  const CommandResult result =
      RunTool({&disk}, {"--fault", "iova=0x7000000000-0x7ffffeffff", "--summary"},
              QemuIo(disk, {"read 0 1M"}))
          .Run();
  EXPECT_NE(result.status, 0);
  EXPECT_NE((result.output + result.errors).find("Input/output error"), std::string::npos)
      << result.output << result.errors;
  const size_t line = result.errors.find(kAddress);
  ASSERT_NE(line, std::string::npos) << result.errors;
  EXPECT_NE(result.errors.find("0x7f", line), std::string::npos) << result.errors;
  EXPECT_NE(result.errors.find("write", line), std::string::npos) << result.errors;
}

TEST_F(QemuIoTest, TheSummaryCountsMappingsAndBytes) {
  const QemuDisk disk(kAddress, 16 * kMebibyte);
  const CommandResult result =
      RunTool({&disk}, {"--summary"}, QemuIo(disk, {"write -P 1 0 1M", "read -P 1 0 1M"})).Run();
  ExpectSuccess(result);
  for (const char* expected : {"container 1", "type1", "mappings", "read", "written"}) {
    EXPECT_NE(result.errors.find(expected), std::string::npos) << result.errors;
  }
}

}  // namespace
