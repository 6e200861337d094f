#include "ioas/soft/peer_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

class PeerProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    state_ = static_cast<ProcessTableState*>(mmap(nullptr, sizeof(ProcessTableState),
                                                  PROT_READ | PROT_WRITE,
                                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    table().Initialize();
    ASSERT_TRUE(table().Register().ok());
    ASSERT_EQ(pipe(ready_), 0);
  }
  void TearDown() override {
    if (child_ > 0) EndChild();
    close(ready_[0]);
    close(ready_[1]);
    munmap(state_, sizeof(ProcessTableState));
  }

  ProcessTable table() { return ProcessTable(state_); }

  // Starts a process that registers and waits. Returns its index. `prepare` gives a number to
  // report.
  template <typename Prepare>
  uint32_t StartChild(Prepare prepare) {
    child_ = fork();
    if (child_ == 0) {
      ProcessTable::OnFork();
      ForgetPeersAfterFork();
      const uint32_t report[2] = {*table().Register(), static_cast<uint32_t>(prepare())};
      if (write(ready_[1], report, sizeof(report)) != sizeof(report)) _exit(1);
      pause();
      _exit(0);
    }
    uint32_t report[2] = {};
    EXPECT_EQ(read(ready_[0], report, sizeof(report)), static_cast<ssize_t>(sizeof(report)));
    reported_ = static_cast<int>(report[1]);
    return report[0];
  }
  void EndChild() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    child_ = -1;
  }

  ProcessTableState* state_ = nullptr;
  int ready_[2];
  pid_t child_ = -1;
  int reported_ = -1;
};

TEST_F(PeerProcessTest, ThisProcessIsAlwaysThere) {
  EXPECT_EQ(MemoryOf(table(), *table().Register()), getpid());
}

TEST_F(PeerProcessTest, ALivingProcessIsFoundAndADeadOneIsNot) {
  const uint32_t index = StartChild([] { return 0; });
  EXPECT_EQ(MemoryOf(table(), index), child_);
  EXPECT_EQ(MemoryOf(table(), index), child_);
  EndChild();
  EXPECT_EQ(MemoryOf(table(), index), 0);
}

TEST_F(PeerProcessTest, AZombieHasNoMemory) {
  const uint32_t index = StartChild([] { return 0; });
  EXPECT_EQ(MemoryOf(table(), index), child_);
  kill(child_, SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(MemoryOf(table(), index), 0);
}

TEST_F(PeerProcessTest, AProcessThatIsNotTheOneRegisteredIsNotTouched) {
  const uint32_t index = StartChild([] { return 0; });
  ++state_->entries[index].start_time;
  EXPECT_EQ(MemoryOf(table(), index), 0);
  EXPECT_EQ(MemoryOf(table(), kMaxProcesses), 0);
  EXPECT_EQ(MemoryOf(table(), kMaxProcesses - 1), 0);
}

TEST_F(PeerProcessTest, ADescriptorIsTakenFromAnotherProcess) {
  const uint32_t index = StartChild([] { return eventfd(7, EFD_CLOEXEC); });
  const Result<int> taken = TakeDescriptor(table(), index, reported_);
  if (!taken.ok() && (taken.error().code == ENOSYS || taken.error().code == EPERM)) {
    GTEST_SKIP() << "the kernel does not let this process do that";
  }
  ASSERT_TRUE(taken.ok());
  EXPECT_TRUE(IsHidden(*taken));
  uint64_t value = 0;
  ASSERT_EQ(read(*taken, &value, sizeof(value)), 8);
  EXPECT_EQ(value, 7u);
  CloseHidden(*taken);
  EXPECT_EQ(TakeDescriptor(table(), index, 12345).error().code, EBADF);
  EndChild();
  EXPECT_EQ(TakeDescriptor(table(), index, reported_).error().code, ESRCH);
}

}  // namespace
}  // namespace ioas::soft
