#include "ioas/base/robust_mutex.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace ioas {
namespace {

// What two processes share.
struct Shared {
  RobustMutex mutex;
  int counter;
};

class RobustMutexTest : public testing::Test {
 protected:
  void SetUp() override {
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    shared_ = static_cast<Shared*>(memory);
    shared_->mutex.Initialize();
  }
  void TearDown() override { munmap(shared_, sizeof(Shared)); }

  Shared* shared_ = nullptr;
};

volatile sig_atomic_t signals_seen = 0;

TEST_F(RobustMutexTest, ThreadsExcludeEachOther) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int j = 0; j < 2000; ++j) {
        RobustLock lock(shared_->mutex);
        ++shared_->counter;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared_->counter, 8000);
}

// As one finds it who slept while the waiter was killed that was to take it next.
TEST_F(RobustMutexTest, AWaiterThatNobodyWakesTakesAFreeMutex) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t holder = fork();
  if (holder == 0) {
    (void)shared_->mutex.Lock();
    char byte = 0;
    const bool told = write(ends[1], &byte, 1) == 1;
    // Time for the other to fall asleep. Then the mutex is free, and nobody is told.
    usleep(50'000);
    std::atomic_ref(*reinterpret_cast<int*>(&shared_->mutex)) = 0;
    _exit(told ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  alarm(20);
  EXPECT_FALSE(shared_->mutex.Lock());
  alarm(0);
  shared_->mutex.Unlock();
  int status = -1;
  waitpid(holder, &status, 0);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(RobustMutexTest, ProcessesExcludeEachOther) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  for (int j = 0; j < 2000; ++j) {
    RobustLock lock(shared_->mutex);
    ++shared_->counter;
  }
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(shared_->counter, 4000);
}

TEST_F(RobustMutexTest, TheNextHolderIsToldOnceThatTheLastOneDied) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    (void)shared_->mutex.Lock();
    kill(getpid(), SIGKILL);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  {
    RobustLock lock(shared_->mutex);
    EXPECT_TRUE(lock.owner_died());
  }
  RobustLock lock(shared_->mutex);
  EXPECT_FALSE(lock.owner_died());
}

// Counts SIGUSR1 in signals_seen as long as it lives.
class CountSignals {
 public:
  CountSignals() {
    signals_seen = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { signals_seen = signals_seen + 1; };
    sigaction(SIGUSR1, &action, &saved_);
  }
  ~CountSignals() { sigaction(SIGUSR1, &saved_, nullptr); }

 private:
  struct sigaction saved_;
};

TEST_F(RobustMutexTest, SignalsWaitUntilTheLockIsReleased) {
  const CountSignals count;
  {
    RobustLock lock(shared_->mutex);
    raise(SIGUSR1);
    EXPECT_EQ(signals_seen, 0);
  }
  usleep(1);  // TSan holds signals back until a call like this
  EXPECT_EQ(signals_seen, 1);
}

TEST_F(RobustMutexTest, SignalsWaitUntilTheLastOfTheThreadsLocksIsReleased) {
  const CountSignals count;
  RobustMutex other;
  other.Initialize();
  {
    RobustLock lock(shared_->mutex);
    {
      RobustLock inner(other);
      raise(SIGUSR1);
    }
    usleep(1);
    EXPECT_EQ(signals_seen, 0);
  }
  usleep(1);
  EXPECT_EQ(signals_seen, 1);
}

TEST_F(RobustMutexTest, SignalsDoNotWaitInAProgramWithoutHandlers) {
  const CountSignals count;
  ASSERT_TRUE(MayHaveSignalHandlers());
  SetMayHaveSignalHandlers(false);
  {
    RobustLock lock(shared_->mutex);
    raise(SIGUSR1);
    usleep(1);
    EXPECT_EQ(signals_seen, 1);
    // What is learned meanwhile does not disturb a lock that is held.
    SetMayHaveSignalHandlers(true);
  }
  RobustLock lock(shared_->mutex);
  raise(SIGUSR1);
  EXPECT_EQ(signals_seen, 1);
}

TEST_F(RobustMutexTest, AThreadKnowsThatItHoldsALock) {
  EXPECT_FALSE(RobustLock::IsHeldByThisThread());
  {
    RobustLock lock(shared_->mutex);
    EXPECT_TRUE(RobustLock::IsHeldByThisThread());
    std::thread([] { EXPECT_FALSE(RobustLock::IsHeldByThisThread()); }).join();
  }
  EXPECT_FALSE(RobustLock::IsHeldByThisThread());
}

TEST_F(RobustMutexTest, TheCallersErrnoAndSignalMaskAreKept) {
  sigset_t before;
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  errno = ENOTTY;
  { RobustLock lock(shared_->mutex); }
  EXPECT_EQ(errno, ENOTTY);
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int number = 1; number < 32; ++number) {
    EXPECT_EQ(sigismember(&before, number), sigismember(&after, number)) << number;
  }
}

}  // namespace
}  // namespace ioas
