#include "compat/kernel/identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "ioas/kernel/failing_system_calls.h"

namespace compat::kernel {
namespace {

using ioas::kernel::FailingSystemCalls;
using ioas::kernel::RealSystemCalls;
using ioas::kernel::SystemCalls;

constexpr Identity kContainer = {.host = 88, .number = 7};
constexpr Identity kDevice = {.host = 88, .number = kMaxIdentityNumber - 1};

class IdentityTest : public testing::Test {
 protected:
  // Every open file description of a node is one's own, whatever the node is.
  static int Open() { return open("/dev/null", O_RDWR | O_CLOEXEC); }
  void TearDown() override {
    close(fd_);
    close(other_);
  }

  SystemCalls& calls_ = RealSystemCalls();
  int fd_ = Open();
  int other_ = Open();
};

TEST_F(IdentityTest, DescriptionSaysWhatItHolds) {
  EXPECT_EQ(ReadIdentity(calls_, fd_)->host, 0u);
  ASSERT_TRUE(HoldIdentity(calls_, fd_, kDevice).ok());
  const auto identity = ReadIdentity(calls_, fd_);
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity->host, kDevice.host);
  EXPECT_EQ(identity->number, kDevice.number);
  EXPECT_EQ(ReadIdentity(calls_, other_)->host, 0u);
}

TEST_F(IdentityTest, DuplicatesSayTheSameAndHoldIt) {
  ASSERT_TRUE(HoldIdentity(calls_, fd_, kContainer).ok());
  const int duplicate = dup(fd_);
  close(fd_);
  EXPECT_EQ(ReadIdentity(calls_, duplicate)->number, kContainer.number);
  EXPECT_TRUE(IsIdentityHeld(calls_, other_, kContainer));
  close(duplicate);
  EXPECT_FALSE(IsIdentityHeld(calls_, other_, kContainer));
  fd_ = Open();
}

TEST_F(IdentityTest, OnlyOneDescriptionHoldsAnIdentity) {
  ASSERT_TRUE(HoldIdentity(calls_, fd_, kContainer).ok());
  EXPECT_FALSE(HoldIdentity(calls_, other_, kContainer).ok());
  EXPECT_TRUE(HoldIdentity(calls_, other_, kDevice).ok());
}

TEST_F(IdentityTest, OwnIdentityIsNobodyElses) {
  ASSERT_TRUE(HoldIdentity(calls_, fd_, kContainer).ok());
  EXPECT_FALSE(IsIdentityHeld(calls_, fd_, kContainer));
  EXPECT_FALSE(IsAnyIdentityHeld(calls_, fd_));
  EXPECT_TRUE(IsAnyIdentityHeld(calls_, other_));
}

TEST_F(IdentityTest, GuardIsNoIdentity) {
  ASSERT_TRUE(HoldGuard(calls_, fd_).ok());
  EXPECT_FALSE(IsAnyIdentityHeld(calls_, other_));
  EXPECT_EQ(ReadIdentity(calls_, fd_)->host, 0u);
  const ioas::Status second = HoldGuard(calls_, other_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, EBUSY);
}

TEST_F(IdentityTest, GuardAndIdentityAreHeldAtOnce) {
  ASSERT_TRUE(HoldGuard(calls_, fd_).ok());
  ASSERT_TRUE(HoldIdentity(calls_, fd_, kContainer).ok());
  EXPECT_EQ(ReadIdentity(calls_, fd_)->number, kContainer.number);
}

TEST_F(IdentityTest, InodeNumberThatALockCannotSayIsRefused) {
  const ioas::Status held = HoldIdentity(calls_, fd_, {.host = uint64_t{1} << 41, .number = 0});
  ASSERT_FALSE(held.ok());
  EXPECT_EQ(held.error().code, EOVERFLOW);
}

TEST_F(IdentityTest, InDoubtSomebodyHoldsIt) {
  FailingSystemCalls failing(RealSystemCalls());
  failing.Fail(1, EINVAL);
  EXPECT_TRUE(IsIdentityHeld(failing, fd_, kContainer));
}

TEST_F(IdentityTest, IdentityThatCannotBeReadIsAnError) {
  FailingSystemCalls failing(RealSystemCalls());
  for (const uint64_t nth : {1, 2}) {
    failing.Fail(nth, EMFILE);
    EXPECT_FALSE(ReadIdentity(failing, fd_).ok());
  }
}

}  // namespace
}  // namespace compat::kernel
