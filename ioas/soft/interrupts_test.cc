#include "ioas/soft/interrupts.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "gtest/gtest.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

struct Shared {
  ProcessTableState processes;
  InterruptState interrupts;
};

class InterruptsTest : public testing::Test {
 protected:
  void SetUp() override {
    shared_ = static_cast<Shared*>(
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ProcessTable(&shared_->processes).Initialize();
    interrupts_ = MakeView();
    event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
  void TearDown() override {
    close(event_);
    interrupts_.reset();
    munmap(shared_, sizeof(Shared));
  }

  std::unique_ptr<Interrupts> MakeView() {
    return std::make_unique<Interrupts>(&shared_->interrupts, ProcessTable(&shared_->processes));
  }
  void Enable(Irq irq, uint32_t count, uint32_t vector) {
    ASSERT_TRUE(interrupts_->Enable(irq, count).ok());
    ASSERT_TRUE(interrupts_->SetTrigger(vector, event_).ok());
  }
  // Events since the last call.
  uint64_t Events() const {
    uint64_t events = 0;
    return read(event_, &events, sizeof(events)) == 8 ? events : 0;
  }

  Shared* shared_ = nullptr;
  std::unique_ptr<Interrupts> interrupts_;
  int event_ = -1;
};

TEST_F(InterruptsTest, OneKindIsOnAtATime) {
  ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 2).ok());
  EXPECT_EQ(interrupts_->Enable(Irq::kMsi, 1).error().code, EINVAL);
  EXPECT_EQ(interrupts_->Enable(Irq::kIntx, 1).error().code, EINVAL);
  EXPECT_EQ(interrupts_->enabled(Irq::kMsix), 2u);
  EXPECT_EQ(interrupts_->enabled(Irq::kMsi), 0u);
  EXPECT_TRUE(interrupts_->message_signalled());
  ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 0).ok());
  EXPECT_TRUE(interrupts_->Enable(Irq::kIntx, 1).ok());
  EXPECT_FALSE(interrupts_->message_signalled());
}

TEST_F(InterruptsTest, AVectorSignalsItsEventfd) {
  Enable(Irq::kMsix, 4, 3);
  interrupts_->Signal(3);
  interrupts_->Signal(3);
  interrupts_->Signal(2);
  interrupts_->Signal(7);
  EXPECT_EQ(Events(), 2u);
}

TEST_F(InterruptsTest, MoreVectorsCanBeEnabledLater) {
  Enable(Irq::kMsix, 1, 0);
  ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 5).ok());
  ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 2).ok());
  EXPECT_EQ(interrupts_->enabled(Irq::kMsix), 5u);
  interrupts_->Signal(0);
  EXPECT_EQ(Events(), 1u);
}

TEST_F(InterruptsTest, MsiVectorsFoldIntoThoseGranted) {
  Enable(Irq::kMsi, 2, 1);
  interrupts_->Signal(5);
  EXPECT_EQ(Events(), 1u);
  interrupts_->Signal(4);
  EXPECT_EQ(Events(), 0u);
}

TEST_F(InterruptsTest, TurningOffTakesTheEventfdsAway) {
  Enable(Irq::kMsix, 2, 0);
  ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 0).ok());
  ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 2).ok());
  interrupts_->Signal(0);
  EXPECT_EQ(Events(), 0u);
}

TEST_F(InterruptsTest, OnlyEventfdsAreTaken) {
  ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 1).ok());
  EXPECT_EQ(interrupts_->SetTrigger(0, 12345).error().code, EBADF);
  const int null = open("/dev/null", O_WRONLY);
  EXPECT_EQ(interrupts_->SetTrigger(0, null).error().code, EINVAL);
  close(null);
}

TEST_F(InterruptsTest, TheProgramMayCloseItsEventfd) {
  const int copy = dup(event_);
  ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 1).ok());
  ASSERT_TRUE(interrupts_->SetTrigger(0, copy).ok());
  close(copy);
  interrupts_->Signal(0);
  EXPECT_EQ(Events(), 1u);
}

TEST_F(InterruptsTest, IntxMasksItselfUntilItIsUnmasked) {
  Enable(Irq::kIntx, 1, 0);
  interrupts_->SetPin(true);
  interrupts_->SetPin(true);
  EXPECT_EQ(Events(), 1u);
  interrupts_->UnmaskIntx();  // the level is still there
  EXPECT_EQ(Events(), 1u);
  interrupts_->SetPin(false);
  interrupts_->UnmaskIntx();
  EXPECT_EQ(Events(), 0u);
  interrupts_->SetPin(true);
  EXPECT_EQ(Events(), 1u);
}

TEST_F(InterruptsTest, AMaskedLevelInterruptsWhenUnmasked) {
  Enable(Irq::kIntx, 1, 0);
  interrupts_->MaskIntx();
  interrupts_->SetPin(true);
  EXPECT_EQ(Events(), 0u);
  interrupts_->UnmaskIntx();
  EXPECT_EQ(Events(), 1u);
}

TEST_F(InterruptsTest, ALevelFromBeforeIsDeliveredToTheFirstEventfd) {
  interrupts_->SetPin(true);
  Enable(Irq::kIntx, 1, 0);
  EXPECT_EQ(Events(), 1u);
}

TEST_F(InterruptsTest, TheCommandRegistersDisableBitMasksToo) {
  interrupts_->SetIntxDisabled(true);
  Enable(Irq::kIntx, 1, 0);
  interrupts_->SetPin(true);
  interrupts_->UnmaskIntx();
  EXPECT_EQ(Events(), 0u);
  interrupts_->SetIntxDisabled(false);
  EXPECT_EQ(Events(), 1u);
}

TEST_F(InterruptsTest, AnUnmaskEventIsTakenOnce) {
  Enable(Irq::kIntx, 1, 0);
  const int unmask = eventfd(0, EFD_CLOEXEC);  // one that waits when read while 0
  ASSERT_TRUE(interrupts_->SetTrigger(kUnmaskTrigger, unmask).ok());
  interrupts_->SetPin(true);
  EXPECT_EQ(Events(), 1u);
  interrupts_->TakeUnmaskEvent();
  EXPECT_EQ(Events(), 0u);
  const uint64_t three = 3;
  ASSERT_EQ(write(unmask, &three, sizeof(three)), 8);
  interrupts_->TakeUnmaskEvent();
  interrupts_->TakeUnmaskEvent();
  EXPECT_EQ(Events(), 1u);
  close(unmask);
}

TEST_F(InterruptsTest, ResetTurnsEverythingOff) {
  Enable(Irq::kIntx, 1, 0);
  ASSERT_TRUE(interrupts_->SetTrigger(kErrorTrigger, event_).ok());
  interrupts_->SetPin(true);
  EXPECT_EQ(Events(), 1u);
  interrupts_->Reset();
  EXPECT_EQ(interrupts_->enabled(Irq::kIntx), 0u);
  EXPECT_FALSE(interrupts_->is_set(kErrorTrigger));
  interrupts_->Fire(kErrorTrigger);
  interrupts_->SetPin(true);
  EXPECT_EQ(Events(), 0u);
}

TEST_F(InterruptsTest, NoDescriptorsAreLeftOver) {
  const int before = *HideDuplicate(event_);
  for (int i = 0; i < 100; ++i) {
    Enable(Irq::kMsix, 2, 0);
    ASSERT_TRUE(interrupts_->SetTrigger(1, event_).ok());
    ASSERT_TRUE(interrupts_->SetTrigger(1, event_).ok());
    ASSERT_TRUE(interrupts_->Enable(Irq::kMsix, 0).ok());
  }
  EXPECT_EQ(*HideDuplicate(event_), before + 1);
  CloseHidden(before);
  CloseHidden(before + 1);
}

TEST_F(InterruptsTest, AForkedChildSignalsWhatWasSetBefore) {
  Enable(Irq::kMsix, 1, 0);
  const pid_t child = fork();
  if (child == 0) {
    interrupts_->Signal(0);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(Events(), 1u);
}

TEST_F(InterruptsTest, AParentSignalsWhatItsChildSets) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    ProcessTable::OnFork();
    Enable(Irq::kMsix, 1, 0);
    (void)!write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  // The child's duplicate is of the same eventfd as this process's descriptor.
  interrupts_->Signal(0);
  const uint64_t events = Events();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  if (events == 0) GTEST_SKIP() << "the kernel does not let this process take descriptors";
  EXPECT_EQ(events, 1u);
}

}  // namespace
}  // namespace ioas::soft
