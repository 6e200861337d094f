#include "compat/kernel/group_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ioas/kernel/failing_system_calls.h"

namespace compat::kernel {
namespace {

using ioas::kernel::FailingSystemCalls;
using ioas::kernel::RealSystemCalls;

constexpr uint64_t kHost = 99;
constexpr uint32_t kSlot = 5;

// Whether the pipe whose writing end was given away has lost its last one.
bool HasEnded(int reading_end) {
  char byte = 0;
  return read(reading_end, &byte, 1) == 0;
}

class GroupFileTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(pipe2(device_, O_CLOEXEC | O_NONBLOCK), 0);
    ASSERT_EQ(pipe2(guard_, O_CLOEXEC | O_NONBLOCK), 0);
    GroupContents contents(calls_);
    ASSERT_TRUE(contents.AddGuard(guard_[1]).ok());
    const auto made = contents.Make(host_, kHost, kSlot, /*close_on_exec=*/true);
    ASSERT_TRUE(made.ok());
    group_ = *made;
  }
  void TearDown() override {
    for (const int fd : {group_, host_, device_[0], guard_[0]}) close(fd);
  }
  // Puts device 3 in, whose writing end of a pipe goes with it.
  ioas::Status Bind() {
    GroupContents contents(calls_);
    IOAS_RETURN_IF_ERROR(contents.Read(group_));
    IOAS_RETURN_IF_ERROR(contents.AddBound(3, device_[1]));
    return contents.Replace(group_);
  }

  FailingSystemCalls calls_{RealSystemCalls()};
  int host_ = memfd_create("host", MFD_CLOEXEC);
  int group_ = -1;
  int device_[2] = {-1, -1};
  int guard_[2] = {-1, -1};
};

TEST_F(GroupFileTest, HeaderSaysWhichGroupItIs) {
  const auto header = ReadGroupHeader(calls_, group_);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->host, kHost);
  EXPECT_EQ(header->slot, kSlot);
  EXPECT_EQ(header->guard_count, 1u);
}

TEST_F(GroupFileTest, WhoeverReadsItGetsDescriptorsOfItsOwn) {
  ASSERT_TRUE(Bind().ok());
  for (int i = 0; i < 2; ++i) {
    GroupContents contents(calls_);
    ASSERT_TRUE(contents.Read(group_).ok());
    EXPECT_GE(contents.BoundDescriptor(3), 0);
    EXPECT_EQ(contents.BoundDescriptor(4), -1);
    const int host = contents.ReleaseHost();
    struct stat theirs = {};
    struct stat own = {};
    ASSERT_EQ(fstat(host, &theirs), 0);
    ASSERT_EQ(fstat(host_, &own), 0);
    EXPECT_EQ(theirs.st_ino, own.st_ino);
    close(host);
  }
}

TEST_F(GroupFileTest, WhatItCarriesEndsWithItsLastDescriptor) {
  ASSERT_TRUE(Bind().ok());
  const int duplicate = dup(group_);
  close(group_);
  EXPECT_FALSE(HasEnded(device_[0]));
  EXPECT_FALSE(HasEnded(guard_[0]));
  close(duplicate);
  EXPECT_TRUE(HasEnded(device_[0]));
  EXPECT_TRUE(HasEnded(guard_[0]));
  group_ = -1;
}

TEST_F(GroupFileTest, DeviceThatIsTakenOutEnds) {
  ASSERT_TRUE(Bind().ok());
  {
    GroupContents contents(calls_);
    ASSERT_TRUE(contents.Read(group_).ok());
    contents.DropBound(3);
    ASSERT_TRUE(contents.Replace(group_).ok());
  }
  EXPECT_TRUE(HasEnded(device_[0]));
  EXPECT_FALSE(HasEnded(guard_[0]));
}

TEST_F(GroupFileTest, ChangeThatFailsChangesNothing) {
  ASSERT_TRUE(Bind().ok());
  {
    GroupContents contents(calls_);
    ASSERT_TRUE(contents.Read(group_).ok());
    contents.DropAllBound();
    calls_.Fail(1, ENOMEM, {.number = SYS_sendmsg});
    EXPECT_FALSE(contents.Replace(group_).ok());
  }
  EXPECT_FALSE(HasEnded(device_[0]));
  GroupContents contents(calls_);
  ASSERT_TRUE(contents.Read(group_).ok());
  EXPECT_GE(contents.BoundDescriptor(3), 0);
}

TEST_F(GroupFileTest, OldMessageIsTakenWhateverItTakes) {
  calls_.Fail(1, EINTR, {.number = SYS_recvfrom}, 3);
  ASSERT_TRUE(Bind().ok());
  calls_.FailNone();
  EXPECT_EQ(ReadGroupHeader(calls_, group_)->bound_count, 1u);
}

TEST_F(GroupFileTest, TooFewFreeDescriptorsLeakNone) {
  rlimit before = {};
  getrlimit(RLIMIT_NOFILE, &before);
  const int lowest = dup(host_);
  close(lowest);
  // Room for one of three.
  const rlimit tight = {static_cast<rlim_t>(lowest) + 1, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &tight);
  GroupContents contents(calls_);
  const ioas::Status read = contents.Read(group_);
  const int next = dup(host_);
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, EMFILE);
  EXPECT_EQ(next, lowest);
  close(next);
}

TEST_F(GroupFileTest, NoMoreDevicesThanFit) {
  GroupContents contents(calls_);
  ASSERT_TRUE(contents.AddBound(kContainerEntry, dup(host_)).ok());
  for (uint32_t i = 0; i < kMaxGroupDevices; ++i) {
    ASSERT_TRUE(contents.AddBound(i, dup(host_)).ok());
  }
  EXPECT_EQ(contents.AddBound(kMaxGroupDevices, host_).error().code, ENOSPC);
}

TEST_F(GroupFileTest, OtherFilesAreNoGroups) {
  int pair[2];
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    ASSERT_EQ(socketpair(AF_UNIX, type, 0, pair), 0);
    EXPECT_EQ(ReadGroupHeader(calls_, pair[0]).error().code, EBADF);
    ASSERT_EQ(send(pair[1], "hello", 5, 0), 5);
    EXPECT_EQ(ReadGroupHeader(calls_, pair[0]).error().code, EBADF);
    EXPECT_EQ(GroupContents(calls_).Read(pair[0]).error().code, EBADF);
    char text[8];
    EXPECT_EQ(recv(pair[0], text, sizeof(text), 0), 5) << "it was taken";
    close(pair[0]);
    close(pair[1]);
  }
  EXPECT_EQ(ReadGroupHeader(calls_, host_).error().code, EBADF);
}

TEST_F(GroupFileTest, FileThatCannotBeLookedIntoIsNotTakenForAnother) {
  for (const uint64_t nth : {1, 2}) {
    calls_.Fail(nth, EINVAL);
    EXPECT_EQ(ReadGroupHeader(calls_, group_).error().code, ENOMEM);
  }
}

}  // namespace
}  // namespace compat::kernel
