#include "ioas/soft/nvme/block_image.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>

#include "ioas/soft/hidden_descriptors.h"
#include "ioas/soft/nvme/test_support.h"

namespace ioas::soft {
namespace {

using nvme::TemporaryImage;

constexpr size_t kSize = 1 << 20;

class BlockImageTest : public testing::Test {
 protected:
  TemporaryImage file_{kSize};
  BlockImage image_{file_.path()};
  std::byte buffer_[8192] = {};
};

TEST_F(BlockImageTest, WhatIsWrittenIsReadBack) {
  std::memset(buffer_, 0x5a, sizeof(buffer_));
  ASSERT_TRUE(image_.Write(512, buffer_).ok());
  std::memset(buffer_, 0, sizeof(buffer_));
  ASSERT_TRUE(image_.Read(512, buffer_).ok());
  EXPECT_EQ(buffer_[0], std::byte{0x5a});
  EXPECT_EQ(buffer_[8191], std::byte{0x5a});
  EXPECT_TRUE(image_.Flush().ok());
}

TEST_F(BlockImageTest, SizeFollowsTheFile) {
  EXPECT_EQ(*image_.Size(), kSize);
  file_.Resize(kSize / 2);
  EXPECT_EQ(*image_.Size(), kSize / 2);
}

TEST_F(BlockImageTest, DescriptorIsOutOfTheProgramsWay) {
  EXPECT_EQ(image_.descriptor(), -1);
  ASSERT_TRUE(image_.Size().ok());
  EXPECT_TRUE(IsHidden(image_.descriptor()));
  EXPECT_EQ(fcntl(image_.descriptor(), F_GETFD), FD_CLOEXEC);
}

TEST_F(BlockImageTest, ReadAndWriteBeyondTheEndAreRefusedAndDoNotGrowTheFile) {
  EXPECT_EQ(image_.Read(kSize - 512, buffer_).error().code, ENODATA);
  EXPECT_EQ(image_.Write(kSize - 512, buffer_).error().code, ENODATA);
  EXPECT_EQ(image_.WriteZeroes(kSize - 512, 1024, false).error().code, ENODATA);
  EXPECT_EQ(image_.Read(~uint64_t{0} - 4096, buffer_).error().code, EINVAL);
  EXPECT_EQ(image_.Write(~uint64_t{0} - 4096, buffer_).error().code, ENODATA);
  EXPECT_EQ(*image_.Size(), kSize);
}

TEST_F(BlockImageTest, ZeroesAndDiscardsReadAsZeroes) {
  for (const int way : {0, 1, 2}) {
    std::memset(buffer_, 0x77, sizeof(buffer_));
    ASSERT_TRUE(image_.Write(0, buffer_).ok());
    const Status status =
        way == 2 ? image_.Discard(512, 1024) : image_.WriteZeroes(512, 1024, way == 1);
    ASSERT_TRUE(status.ok());
    ASSERT_TRUE(image_.Read(0, buffer_).ok());
    EXPECT_EQ(buffer_[511], std::byte{0x77});
    EXPECT_EQ(buffer_[512], std::byte{0});
    EXPECT_EQ(buffer_[1535], std::byte{0});
    EXPECT_EQ(buffer_[1536], std::byte{0x77});
  }
}

TEST_F(BlockImageTest, MissingFileIsAnErrorEachTime) {
  BlockImage missing("/nonexistent/image");
  EXPECT_EQ(missing.Size().error().code, ENOENT);
  EXPECT_EQ(missing.Read(0, buffer_).error().code, ENOENT);
  EXPECT_EQ(missing.Flush().error().code, ENOENT);
  EXPECT_FALSE(missing.read_only());
}

TEST_F(BlockImageTest, FileThatCannotBeOpenedForWritingIsReadOnly) {
  // A running program's file: unlike permissions, this binds root too.
  BlockImage program("/proc/self/exe");
  EXPECT_TRUE(program.read_only());
  EXPECT_TRUE(program.Read(0, buffer_).ok());
  EXPECT_EQ(program.Write(0, buffer_).error().code, EROFS);
  EXPECT_EQ(program.WriteZeroes(0, 512, true).error().code, EROFS);
  EXPECT_EQ(program.Discard(0, 512).error().code, EROFS);
  EXPECT_TRUE(program.Flush().ok());
}

TEST_F(BlockImageTest, ClosedDescriptorIsOpenedAgain) {
  ASSERT_TRUE(image_.Size().ok());
  close(image_.descriptor());
  EXPECT_TRUE(image_.Read(0, buffer_).ok());
  EXPECT_EQ(*image_.Size(), kSize);
}

}  // namespace
}  // namespace ioas::soft
