// The commands of I/O queues.
#include "ioas/soft/nvme/io_commands.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "ioas/soft/nvme/test_support.h"

namespace ioas::soft::nvme {
namespace {

constexpr uint32_t kForced = 1 << 30;

class IoTest : public NvmeFixture {
 protected:
  IoTest() { EnableWithQueues(); }

  void UseBlocksOf(uint32_t block_size) {
    MakeController(block_size);
    EnableWithQueues();
  }
  bool ImageHolds(uint64_t offset, size_t length, uint8_t first) {
    const std::vector<std::byte> contents = image_.Contents(offset, length);
    std::memcpy(memory_.At(kData), contents.data(), length);
    return memory_.Holds(kData, length, first);
  }
};

TEST_F(IoTest, WhatIsWrittenIsInTheImageAndIsReadBack) {
  memory_.Fill(kData, 4096, 1);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 5, 8)), CommandStatus::kSuccess);
  std::memset(memory_.At(kData), 0, 4096);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 5, 8)), CommandStatus::kSuccess);
  EXPECT_TRUE(memory_.Holds(kData, 4096, 1));
  EXPECT_TRUE(ImageHolds(5 * 512, 4096, 1));
}

TEST_F(IoTest, LargestTransferGoesInChunks) {
  memory_.Fill(kData, kMaximumTransfer, 2);
  EXPECT_EQ(StatusOf(1, LongIo(IoOpcode::kWrite, 0, 2048)), CommandStatus::kSuccess);
  std::memset(memory_.At(kData), 0, kMaximumTransfer);
  EXPECT_EQ(StatusOf(1, LongIo(IoOpcode::kRead, 0, 2048)), CommandStatus::kSuccess);
  EXPECT_TRUE(memory_.Holds(kData, kMaximumTransfer, 2));
  EXPECT_EQ(memory_.largest_transfer, 256U << 10);
}

TEST_F(IoTest, UnalignedBuffersOfAnyLengthWork) {
  for (const uint32_t offset : {4U, 512U, 4092U}) {
    for (const uint32_t blocks : {1U, 7U, 8U, 9U, 513U}) {
      const uint32_t length = blocks * 512;
      memory_.Fill(kData + offset, length, static_cast<uint8_t>(blocks));
      LongIo(IoOpcode::kRead, 0, 2048);  // for its list
      const uint32_t pages = (offset + length + 4095) / 4096;
      const uint64_t prp2 = pages > 2 ? kLists : kData + 4096;
      EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 3, blocks, kData + offset, prp2)),
                CommandStatus::kSuccess);
      std::memset(memory_.At(kData), 0, length + 8192);
      EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 3, blocks, kData + offset, prp2)),
                CommandStatus::kSuccess);
      EXPECT_TRUE(memory_.Holds(kData + offset, length, static_cast<uint8_t>(blocks)));
      EXPECT_EQ(*memory_.At(kData + offset + length), std::byte{0});
    }
  }
}

TEST_F(IoTest, QueueDepthKeepsEveryCommandsData) {
  for (uint16_t i = 0; i < 32; ++i) {
    memory_.Fill(kData + i * 4096, 4096, static_cast<uint8_t>(i));
    SubmissionEntry command = Io(IoOpcode::kWrite, i * 64, 8, kData + i * 4096);
    command.command_id = i;
    Put(1, command);
  }
  Ring(1);
  Run();
  Reply reply;
  for (uint16_t i = 0; i < 32; ++i) {
    ASSERT_TRUE(Take(1, &reply));
    EXPECT_EQ(reply.command_id, i);
    EXPECT_EQ(reply.status, CommandStatus::kSuccess);
  }
  for (uint32_t i = 0; i < 32; ++i) {
    EXPECT_TRUE(ImageHolds(i * 64 * 512, 4096, static_cast<uint8_t>(i)));
  }
}

TEST_F(IoTest, LargeBlocksCountInTheirOwnSize) {
  UseBlocksOf(4096);
  memory_.Fill(kData, 8192, 9);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 3, 2, kData, kData + 4096)), CommandStatus::kSuccess);
  EXPECT_TRUE(ImageHolds(3 * 4096, 8192, 9));
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, kImageSize / 4096 - 1, 1)), CommandStatus::kSuccess);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, kImageSize / 4096, 1)), CommandStatus::kLbaOutOfRange);
}

TEST_F(IoTest, LargePagesOfTheHostWork) {
  registers().Store(kRegisterCc, 0);
  Run();
  Enable(3 << 7);  // 32 KiB
  MakeQueues(1, 8);
  memory_.Fill(kData, 3 * 0x8000, 4);
  memory_.As<uint64_t>(kLists) = kData + 0x8000;
  memory_.As<uint64_t>(kLists + 8) = kData + 0x10000;
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 0, 192, kData, kLists)), CommandStatus::kSuccess);
  EXPECT_TRUE(ImageHolds(0, 3 * 0x8000, 4));
}

TEST_F(IoTest, WhatCannotBeIsRefused) {
  const uint64_t blocks = kImageSize / 512;
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, blocks - 1, 2)), CommandStatus::kLbaOutOfRange);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, ~uint64_t{0}, 2)), CommandStatus::kLbaOutOfRange);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWriteZeroes, blocks, 1)), CommandStatus::kLbaOutOfRange);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 2049)), CommandStatus::kInvalidField);
  EXPECT_EQ(StatusOf(1, Io(static_cast<IoOpcode>(0x05), 0, 1)), CommandStatus::kInvalidOpcode);
  SubmissionEntry command = Io(IoOpcode::kRead, 0, 1);
  for (const uint8_t flags : {0x01, 0x02, 0x40, 0x80}) {
    command.flags = flags;
    EXPECT_EQ(StatusOf(1, command), CommandStatus::kInvalidField);
  }
  command.flags = 0;
  for (const uint32_t id : {0U, 2U, kAllNamespaces}) {
    command.namespace_id = id;
    EXPECT_EQ(StatusOf(1, command), CommandStatus::kInvalidNamespaceOrFormat);
  }
}

TEST_F(IoTest, MemoryThatIsNotMappedIsATransferError) {
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 8, 0x4000)), CommandStatus::kDataTransferError);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 0, 8, 0x4000)), CommandStatus::kDataTransferError);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 64, kData, 0x4000)),
            CommandStatus::kDataTransferError);
  EXPECT_EQ(memory_.faults, 3U);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 8)), CommandStatus::kSuccess);
}

TEST_F(IoTest, ShrunkenImageIsAMediaError) {
  image_.Resize(kImageSize / 2);
  const uint64_t beyond = kImageSize / 2 / 512;
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, beyond - 1, 2)), CommandStatus::kUnrecoveredReadError);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, beyond - 1, 2)), CommandStatus::kWriteFault);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWriteZeroes, beyond, 1)), CommandStatus::kWriteFault);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, beyond - 1, 1)), CommandStatus::kSuccess);
  EXPECT_EQ(state_.lifetime.media_errors, 3U);
  struct stat status {};
  ASSERT_EQ(stat(image_.path(), &status), 0);
  EXPECT_EQ(status.st_size, static_cast<off_t>(kImageSize / 2));
}

TEST_F(IoTest, MissingImageIsAMediaError) {
  config_.image_path = "/nonexistent/image";
  controller_ = MakeView();
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 1)), CommandStatus::kUnrecoveredReadError);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 0, 1)), CommandStatus::kWriteFault);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kFlush, 0, 1)), CommandStatus::kWriteFault);
  EXPECT_FALSE(state_.flush_failed);  // nothing was lost
}

TEST_F(IoTest, ReadOnlyImageIsWriteProtected) {
  config_.image_path = "/proc/self/exe";  // cannot be opened for writing while it runs
  controller_ = MakeView();
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 1)), CommandStatus::kSuccess);
  for (const auto opcode :
       {IoOpcode::kWrite, IoOpcode::kWriteZeroes, IoOpcode::kDatasetManagement}) {
    EXPECT_EQ(StatusOf(1, Io(opcode, 0, 1)), CommandStatus::kNamespaceWriteProtected);
  }
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kFlush, 0, 1)), CommandStatus::kSuccess);
}

TEST_F(IoTest, FlushTakesOneOrAllNamespaces) {
  SubmissionEntry command = Io(IoOpcode::kFlush, 0, 1);
  EXPECT_EQ(StatusOf(1, command), CommandStatus::kSuccess);
  command.namespace_id = kAllNamespaces;
  EXPECT_EQ(StatusOf(1, command), CommandStatus::kSuccess);
  command.namespace_id = 0;
  EXPECT_EQ(StatusOf(1, command), CommandStatus::kInvalidNamespaceOrFormat);
}

TEST_F(IoTest, LostDataFailsEveryFlushUntilTheFunctionIsReset) {
  state_.flush_failed = true;
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kFlush, 0, 1)), CommandStatus::kWriteFault);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 0, 1)), CommandStatus::kSuccess);
  SubmissionEntry forced = Io(IoOpcode::kWrite, 0, 1);
  forced.cdw12 |= kForced;
  EXPECT_EQ(StatusOf(1, forced), CommandStatus::kWriteFault);
  controller_->Reset();
  EnableWithQueues();
  EXPECT_EQ(StatusOf(1, forced), CommandStatus::kSuccess);
}

TEST_F(IoTest, WithoutWriteCacheEveryWriteIsFlushed) {
  const auto cache = static_cast<uint32_t>(Feature::kVolatileWriteCache);
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kSetFeatures, cache, 0)), CommandStatus::kSuccess);
  state_.flush_failed = true;
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 0, 1)), CommandStatus::kWriteFault);
}

TEST_F(IoTest, ZeroesAreWrittenWithAndWithoutDeallocation) {
  for (const uint32_t deallocate : {0U, 1U << 25}) {
    memory_.Fill(kData, 16384, 6);
    ASSERT_EQ(StatusOf(1, LongIo(IoOpcode::kWrite, 0, 32)), CommandStatus::kSuccess);
    SubmissionEntry command = Io(IoOpcode::kWriteZeroes, 8, 16);
    command.cdw12 |= deallocate;
    EXPECT_EQ(StatusOf(1, command), CommandStatus::kSuccess);
    EXPECT_EQ(image_.Contents(4096, 8192), std::vector<std::byte>(8192));
    EXPECT_TRUE(ImageHolds(0, 4096, 6));
  }
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWriteZeroes, 0, 16384)), CommandStatus::kSuccess);
}

TEST_F(IoTest, DeallocatedRangesReadAsZeroes) {
  memory_.Fill(kData, 16384, 6);
  ASSERT_EQ(StatusOf(1, LongIo(IoOpcode::kWrite, 0, 32)), CommandStatus::kSuccess);
  struct Range {
    uint32_t attributes;
    uint32_t blocks;
    uint64_t first_block;
  };
  auto* ranges = &Data<Range>();
  ranges[0] = {0, 1, 0};
  ranges[1] = {0, 0, 5};
  ranges[2] = {0, 8, 16};
  SubmissionEntry command = Io(IoOpcode::kDatasetManagement, 0, 1);
  command.cdw10 = 2;
  command.cdw11 = 1 << 2;
  EXPECT_EQ(StatusOf(1, command), CommandStatus::kSuccess);
  EXPECT_EQ(image_.Contents(0, 512), std::vector<std::byte>(512));
  EXPECT_NE(image_.Contents(512, 512), std::vector<std::byte>(512));
  EXPECT_EQ(image_.Contents(8192, 4096), std::vector<std::byte>(4096));
  ranges[1] = {0, 0xffffffff, 1};
  EXPECT_EQ(StatusOf(1, command), CommandStatus::kLbaOutOfRange);
  command.prp1 = 0x4000;
  EXPECT_EQ(StatusOf(1, command), CommandStatus::kDataTransferError);
  command.cdw11 = 1 << 1;  // a hint
  EXPECT_EQ(StatusOf(1, command), CommandStatus::kSuccess);
}

// Puts a file system of 64 KiB on `directory`, for this process alone.
bool MountSmallFileSystem(const char* directory) {
  const uid_t user = geteuid();
  if (unshare(CLONE_NEWNS) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  }
  return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("none", directory, "tmpfs", 0, "size=64k") == 0;
}

TEST_F(IoTest, FullDiskIsCapacityExceeded) {
  std::string directory = testing::TempDir() + "nvme_full_XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  if (!MountSmallFileSystem(directory.c_str())) {
    rmdir(directory.c_str());
    GTEST_SKIP() << "mounting a file system is not permitted here";
  }
  const std::string path = directory + "/image";
  std::ofstream(path).close();
  ASSERT_EQ(truncate(path.c_str(), kImageSize), 0);
  config_.image_path = path.c_str();
  controller_ = MakeView();
  EXPECT_EQ(StatusOf(1, LongIo(IoOpcode::kWrite, 0, 2048)), CommandStatus::kCapacityExceeded);
  EXPECT_EQ(StatusOf(1, LongIo(IoOpcode::kRead, 0, 2048)), CommandStatus::kSuccess);
  controller_.reset();
  umount2(directory.c_str(), MNT_DETACH);
  rmdir(directory.c_str());
}

}  // namespace
}  // namespace ioas::soft::nvme
