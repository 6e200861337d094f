#include "ioas/kernel/system_calls.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "ioas/kernel/failing_system_calls.h"
#include "ioas/kernel/scripted_system_calls.h"

namespace ioas::kernel {
namespace {

TEST(SystemCallsTest, ArgumentsFillWholeRegistersAndTheRestIsZero) {
  ScriptedSystemCalls calls;
  int target = 0;
  std::vector<long> seen;
  calls.OnCall(SYS_fcntl, [&](const long(&arguments)[6]) {
    seen.assign(arguments, arguments + 6);
    return 7L;
  });
  EXPECT_EQ(calls(SYS_fcntl, -1, 0xffffffffu, &target), 7);
  EXPECT_EQ(seen,
            (std::vector<long>{-1, 0xffffffff, reinterpret_cast<intptr_t>(&target), 0, 0, 0}));
}

TEST(SystemCallsTest, TheRealOnesReturnNegatedErrorsAndLeaveErrnoAlone) {
  errno = 0;
  EXPECT_EQ(RealSystemCalls()(SYS_close, -1), -EBADF);
  EXPECT_EQ(errno, 0);
  EXPECT_EQ(RealSystemCalls()(SYS_getpid), getpid());
}

TEST(OwnedDescriptorTest, ClosesOnceAndNotWhatWasReleased) {
  ScriptedSystemCalls calls;
  std::vector<long> closed;
  calls.OnCall(SYS_close, [&](const long(&arguments)[6]) {
    closed.push_back(arguments[0]);
    return 0L;
  });
  {
    OwnedDescriptor first(calls, 5);
    OwnedDescriptor second(std::move(first));
    OwnedDescriptor third(calls, 6);
    EXPECT_EQ(second.get(), 5);
    EXPECT_EQ(third.Release(), 6);
    OwnedDescriptor none;
    none = std::move(second);
    EXPECT_EQ(none.get(), 5);
  }
  EXPECT_EQ(closed, std::vector<long>{5});
}

TEST(FailingSystemCallsTest, TheChosenCallFailsAndTheOthersAreMade) {
  FailingSystemCalls calls(RealSystemCalls());
  calls.Fail(2, ENOMEM);
  EXPECT_EQ(calls(SYS_getpid), getpid());
  EXPECT_EQ(calls(SYS_getpid), -ENOMEM);
  EXPECT_EQ(calls(SYS_getpid), getpid());
  EXPECT_EQ(calls.count(), 3u);
}

TEST(FailingSystemCallsTest, OnlyCallsThatMatchCount) {
  ScriptedSystemCalls kernel;
  FailingSystemCalls calls(kernel);
  calls.Fail(1, EBUSY, {.number = SYS_ioctl, .request = 42});
  EXPECT_EQ(calls(SYS_ioctl, 3, 41), -ENOTTY);
  EXPECT_EQ(calls(SYS_fcntl, 3, 42), -ENOSYS);
  EXPECT_EQ(calls(SYS_ioctl, 3, 42), -EBUSY);
  EXPECT_EQ(calls.count(), 1u);
  EXPECT_EQ(kernel.made, (std::vector<long>{41, SYS_fcntl}));
}

TEST(FailingSystemCallsTest, CallsMayFailForEverOrNotAtAll) {
  FailingSystemCalls calls(RealSystemCalls());
  calls.Fail(1, EINTR, {}, UINT64_MAX);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(calls(SYS_getpid), -EINTR);
  calls.FailNone();
  EXPECT_EQ(calls(SYS_getpid), getpid());
  EXPECT_EQ(calls.count(), 1u);
}

}  // namespace
}  // namespace ioas::kernel
