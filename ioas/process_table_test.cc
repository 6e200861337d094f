#include "ioas/process_table.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;

class ProcessTableTest : public testing::Test {
 protected:
  void SetUp() override {
    void* memory = mmap(nullptr, sizeof(ProcessTableState), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    state_ = static_cast<ProcessTableState*>(memory);
    table().Initialize();
  }
  void TearDown() override { munmap(state_, sizeof(ProcessTableState)); }

  ProcessTable table() { return ProcessTable(state_); }

  // Runs `body` in a forked child, and returns what it returned, 0 to 255.
  template <typename Body>
  static int InChild(Body body) {
    const pid_t child = fork();
    if (child == 0) {
      ProcessTable::OnFork();
      _exit(body());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // Gives up CAP_IPC_LOCK and takes a limit of `bytes`.
  static void Limit(uint64_t bytes) {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    syscall(SYS_capget, &header, data);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    syscall(SYS_capset, &header, data);
    const rlimit limit = {bytes, bytes};
    setrlimit(RLIMIT_MEMLOCK, &limit);
  }

  ProcessTableState* state_ = nullptr;
};

TEST_F(ProcessTableTest, AProcessHasOneIndex) {
  const auto first = table().Register();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*table().Register(), *first);
  EXPECT_EQ(table().identity(*first).pid, getpid());
  EXPECT_NE(table().identity(*first).start_time, 0u);
  ProcessTable::OnFork();
  EXPECT_EQ(*table().Register(), *first);
}

TEST_F(ProcessTableTest, AForkedChildHasAnIndexOfItsOwn) {
  const uint32_t parent = *table().Register();
  EXPECT_EQ(InChild([&] { return *table().Register() == parent ? 1 : 0; }), 0);
}

TEST_F(ProcessTableTest, EntriesOfDeadProcessesAreUsedAgain) {
  for (uint32_t i = 0; i < 2 * kMaxProcesses; ++i) {
    ASSERT_EQ(InChild([&] { return table().Register().ok() ? 0 : 1; }), 0) << i;
  }
}

TEST_F(ProcessTableTest, AnEntryWithLockedMemoryIsKeptWhenItsProcessDies) {
  const int index = InChild([&] {
    return table().LockMemory(kPage, nullptr).ok() ? static_cast<int>(*table().Register()) : 255;
  });
  ASSERT_NE(index, 255);
  EXPECT_NE(InChild([&] { return static_cast<int>(*table().Register()); }), index);
  table().UnlockMemory(static_cast<uint32_t>(index), kPage);
  EXPECT_EQ(InChild([&] { return static_cast<int>(*table().Register()); }), index);
}

TEST_F(ProcessTableTest, AProcessThatRunsAnotherProgramIsGone) {
  ASSERT_TRUE(table().LockMemory(kPage, nullptr).ok());
  const uint32_t self = *table().Register();
  // As if this program had been started anew in the same process.
  state_->entries[self].image ^= 1;
  ProcessTable::OnFork();
  const uint32_t now = *table().Register();
  EXPECT_NE(now, self);
  EXPECT_EQ(table().identity(self).pid, 0);
  EXPECT_EQ(table().identity(now).pid, getpid());
}

TEST_F(ProcessTableTest, TwoTablesDoNotMix) {
  const uint32_t self = *table().Register();
  state_->entries[self].locked_bytes = 5;
  auto* other = static_cast<ProcessTableState*>(mmap(nullptr, sizeof(ProcessTableState),
                                                     PROT_READ | PROT_WRITE,
                                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ProcessTable second(other);
  second.Initialize();
  ASSERT_TRUE(second.LockMemory(kPage, nullptr).ok());
  EXPECT_EQ(table().locked_bytes(*table().Register()), 5u);
  EXPECT_EQ(second.locked_bytes(*second.Register()), kPage);
  munmap(other, sizeof(ProcessTableState));
}

TEST_F(ProcessTableTest, LockedMemoryEndsAtTheLimit) {
  EXPECT_EQ(InChild([&] {
              Limit(4 * kPage);
              uint64_t lockable = 0;
              if (!table().LockMemory(3 * kPage, nullptr).ok()) return 1;
              if (table().LockMemory(2 * kPage, &lockable).error().code != ENOMEM) return 2;
              if (lockable != kPage) return 3;
              if (table().LockMemory(~uint64_t{0}, nullptr).error().code != ENOMEM) return 4;
              if (!table().LockMemory(kPage, nullptr).ok()) return 5;
              table().UnlockMemory(*table().Register(), 2 * kPage);
              return table().LockMemory(2 * kPage, nullptr).ok() ? 0 : 6;
            }),
            0);
}

TEST_F(ProcessTableTest, TheCapabilityLiftsTheLimit) {
  if (geteuid() != 0) GTEST_SKIP() << "needs CAP_IPC_LOCK";
  EXPECT_EQ(InChild([&] {
              const rlimit limit = {kPage, kPage};
              setrlimit(RLIMIT_MEMLOCK, &limit);
              return table().LockMemory(uint64_t{1} << 40, nullptr).ok() ? 0 : 1;
            }),
            0);
}

TEST(ProcessStartTimeTest, TheDeadHaveNone) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(ProcessStartTime(child), 0u);  // a zombie
  waitpid(child, nullptr, 0);
  EXPECT_EQ(ProcessStartTime(child), 0u);
  EXPECT_NE(ProcessStartTime(getpid()), 0u);
}

}  // namespace
}  // namespace ioas
