#include "ioas/soft/hidden_descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

TEST(HiddenDescriptorsTest, ADuplicateIsHighHiddenAndCloseOnExec) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Result<int> hidden = HideDuplicate(ends[1]);
  ASSERT_TRUE(hidden.ok());
  EXPECT_GE(*hidden, 64);
  EXPECT_TRUE(IsHidden(*hidden));
  EXPECT_FALSE(IsHidden(ends[1]));
  EXPECT_EQ(fcntl(*hidden, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(write(*hidden, "x", 1), 1);
  CloseHidden(*hidden);
  EXPECT_FALSE(IsHidden(*hidden));
  EXPECT_EQ(fcntl(*hidden, F_GETFD), -1);
  close(ends[0]);
  close(ends[1]);
}

TEST(HiddenDescriptorsTest, WhatIsOpenedHiddenHasNoOtherNumber) {
  int fd = -1;
  const Result<int> hidden = OpenHidden([&fd] {
    fd = open("/dev/null", O_RDONLY);
    EXPECT_TRUE(MayBecomeHidden(fd));
    return fd;
  });
  ASSERT_TRUE(hidden.ok());
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  EXPECT_FALSE(MayBecomeHidden(fd));
  EXPECT_TRUE(MayBecomeHidden(*hidden));
  CloseHidden(*hidden);
  EXPECT_EQ(OpenHidden([] { return -ENOENT; }).error().code, ENOENT);
}

TEST(HiddenDescriptorsTest, WhoClosesWaitsForAnOpening) {
  std::atomic<bool> closes{false};
  std::thread closer;
  const Result<int> hidden = OpenHidden([&] {
    closer = std::thread([&closes] {
      closes = true;
      const HidingLock lock;
      closes = false;
    });
    while (!closes) std::this_thread::yield();
    return open("/dev/null", O_RDONLY);
  });
  EXPECT_TRUE(hidden.ok());
  closer.join();
  EXPECT_FALSE(closes);
  CloseHidden(*hidden);
}

TEST(HiddenDescriptorsTest, AClosedDescriptorIsRefused) {
  EXPECT_EQ(HideDuplicate(-1).error().code, EBADF);
  EXPECT_EQ(HideDuplicate(999).error().code, EBADF);
}

TEST(HiddenDescriptorsTest, OnlyHiddenDescriptorsAreClosed) {
  const int fd = open("/dev/null", O_RDONLY);
  CloseHidden(fd);
  CloseHidden(-1);
  EXPECT_NE(fcntl(fd, F_GETFD), -1);
  EXPECT_FALSE(IsHidden(-1));
  EXPECT_FALSE(IsHidden(1 << 30));
  close(fd);
}

TEST(HiddenDescriptorsTest, ASmallLimitStillLeavesRoom) {
  rlimit before;
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit small = {32, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &small);
  const Result<int> hidden = HideDuplicate(0);
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(hidden.ok());
  EXPECT_GE(*hidden, 16);
  EXPECT_LT(*hidden, 32);
  CloseHidden(*hidden);
}

}  // namespace
}  // namespace ioas::soft
