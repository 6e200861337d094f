// Memory that may not be locked. In a process of its own, for whoever may lock any may not give
// that up for a while.
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/behaviour/fixture.h"

namespace tests {
namespace {

// More than any mode needs for a page.
constexpr uint64_t kEnough = 64 << 20;

void SetLimit(uint64_t bytes) {
  rlimit limit = {};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  limit.rlim_cur = bytes;
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

// As high as it can be, and no capability to exceed it. Returns it.
uint64_t HoldToLimit() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  EXPECT_EQ(syscall(SYS_capget, &header, data), 0);
  data[0].effective &= ~(1U << CAP_IPC_LOCK);
  EXPECT_EQ(syscall(SYS_capset, &header, data), 0);
  rlimit limit = {};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  const uint64_t most = std::min<uint64_t>(limit.rlim_max, kEnough);
  SetLimit(most);
  return most;
}

class LockedMemoryTest : public BehaviourTest {
 protected:
  void SetUp() override {}

  int Map(uint64_t iova, const std::byte* memory) {
    const int error = mode().Announce(memory, kPage);
    return error != 0 ? error : mode().Map(iova, memory, kPage);
  }
  void Unmap(uint64_t iova, const std::byte* memory) {
    EXPECT_EQ(mode().Unmap(iova, kPage), (Unmapped{0, kPage}));
    EXPECT_EQ(mode().Withdraw(memory, kPage), 0);
  }
  // Lowers the limit to what one page more than now needs.
  void LeaveOnePage(uint64_t limit, const std::byte* memory) {
    uint64_t too_low = 0;
    uint64_t enough = limit / kPage;
    while (enough - too_low > 1) {
      const uint64_t middle = too_low + (enough - too_low) / 2;
      SetLimit(middle * kPage);
      const int error = Map(kIova, memory);
      ASSERT_TRUE(error == 0 || error == ENOMEM) << error;
      if (error == 0) Unmap(kIova, memory);
      (error == 0 ? enough : too_low) = middle;
    }
    SetLimit(enough * kPage);
  }
  void CannotBeMapped() {
    const uint64_t limit = HoldToLimit();
    BehaviourTest::SetUp();
    const Memory memory(2 * kPage);
    std::byte* const one = memory.data();
    std::byte* const other = one + kPage;
    LeaveOnePage(limit, one);
    ASSERT_EQ(Map(kIova, one), 0);
    EXPECT_EQ(Map(kIova + kPage, other), ENOMEM);
    EXPECT_TRUE(Reaches(kIova, one));
    EXPECT_FALSE(DeviceWrites(kIova + kPage, other));
    Unmap(kIova, one);
    ASSERT_EQ(Map(kIova + kPage, other), 0);
    EXPECT_TRUE(Reaches(kIova + kPage, other));
  }
};

TEST_P(LockedMemoryTest, MemoryThatMayNotBeLockedCannotBeMapped) {
  const pid_t child = fork();
  if (child == 0) {
    CannotBeMapped();
    Close();
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, LockedMemoryTest, testing::ValuesIn(Modes()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tests
