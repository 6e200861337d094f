#include "compat/kernel/shared_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace compat::kernel {
namespace {

constexpr uint64_t kPage = 4096;

class SharedMemoryTest : public testing::Test {
 protected:
  SharedMemoryTest() : file_(memfd_create("memory", MFD_CLOEXEC)) {
    EXPECT_EQ(ftruncate(file_, 8 * kPage), 0);
  }
  ~SharedMemoryTest() override {
    if (file_ >= 0) close(file_);
  }

  // Four pages of the file from its second on.
  uint64_t Map(int flags) {
    void* const mapped =
        mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, flags, file_, static_cast<off_t>(kPage));
    EXPECT_NE(mapped, MAP_FAILED);
    return reinterpret_cast<uint64_t>(mapped);
  }
  static bool IsSame(int fd, int other) {
    struct stat one = {};
    struct stat two = {};
    return fstat(fd, &one) == 0 && fstat(other, &two) == 0 && one.st_ino == two.st_ino &&
           one.st_dev == two.st_dev;
  }
  int ErrorOf(uint64_t address, uint64_t size) {
    const auto found = memory_.Find(address, size);
    if (found.ok()) close(found->fd);
    return found.error().code;
  }

  int file_;
  SharedMemory memory_{ioas::kernel::RealSystemCalls()};
};

TEST_F(SharedMemoryTest, FileAndPlaceAreFound) {
  const uint64_t address = Map(MAP_SHARED);
  const auto found = memory_.Find(address + kPage, 2 * kPage);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->offset, 2 * kPage);
  EXPECT_NE(found->fd, file_) << "it is closed by whoever asked";
  EXPECT_TRUE(IsSame(found->fd, file_));
  close(found->fd);
}

TEST_F(SharedMemoryTest, MemoryOfThisProcessAloneIsNot) {
  EXPECT_EQ(ErrorOf(Map(MAP_PRIVATE), kPage), ENOENT);
  alignas(4096) static std::byte own[kPage];
  EXPECT_EQ(ErrorOf(reinterpret_cast<uint64_t>(own), kPage), ENOENT);
}

TEST_F(SharedMemoryTest, WhatIsNotAllTheFilesIsNot) {
  const uint64_t address = Map(MAP_SHARED);
  ASSERT_EQ(munmap(reinterpret_cast<void*>(address + 3 * kPage), kPage), 0);
  EXPECT_EQ(ErrorOf(address, 3 * kPage), 0);
  EXPECT_EQ(ErrorOf(address, 4 * kPage), ENOENT);
}

TEST_F(SharedMemoryTest, FileThatTheProcessHasClosedIsNot) {
  const uint64_t address = Map(MAP_SHARED);
  close(file_);
  file_ = -1;
  EXPECT_EQ(ErrorOf(address, kPage), ENOENT);
}

}  // namespace
}  // namespace compat::kernel
