#include "ioas/soft/device_worker.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

constexpr size_t kPage = 4096;

// Work is what lies in a page that programs map: the number there counts as done when it was seen.
class CountingClient final : public DeviceWorker::Client {
 public:
  explicit CountingClient(std::atomic<uint32_t>* page) : page_(page) {}

  bool Poll() override {
    ++polls;
    const uint32_t value = *page_;
    return seen.exchange(value) != value;
  }
  int WakeDescriptor() override { return descriptor; }
  void OnWakeDescriptor() override {
    uint64_t events = 0;
    EXPECT_EQ(read(descriptor, &events, sizeof(events)), 8);
    ++wakes;
  }

  std::atomic<uint64_t> polls{0};
  std::atomic<uint32_t> seen{0};
  std::atomic<uint32_t> wakes{0};
  std::atomic<int> descriptor{-1};

 private:
  std::atomic<uint32_t>* page_;
};

class DeviceWorkerTest : public testing::Test {
 protected:
  DeviceWorkerTest()
      : fd_(memfd_create("registers", MFD_CLOEXEC)),
        host_(Map()),
        program_(Map()),
        client_(host_),
        worker_(client_, watch_) {}
  ~DeviceWorkerTest() override {
    worker_.Stop();
    munmap(host_, kPage);
    munmap(program_, kPage);
    close(fd_);
  }

  std::atomic<uint32_t>* Map() const {
    EXPECT_EQ(ftruncate(fd_, kPage), 0);
    return static_cast<std::atomic<uint32_t>*>(
        mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
  }
  void WatchProgram() { watch_.Add(reinterpret_cast<uintptr_t>(program_), kPage); }
  template <typename Condition>
  static bool Await(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static void Sleep(int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  }
  bool Sees(uint32_t value) {
    return Await([&] { return client_.seen == value; });
  }

  int fd_;
  std::atomic<uint32_t>* host_;
  std::atomic<uint32_t>* program_;
  CountingClient client_;
  DoorbellWatch watch_;
  DeviceWorker worker_;
};

TEST_F(DeviceWorkerTest, AWriteToAMappedPageIsSeen) {
  WatchProgram();
  ASSERT_TRUE(worker_.Start().ok());
  for (uint32_t i = 1; i < 50; ++i) {
    if (i % 2 == 0) Sleep(1);
    *program_ = i;
    ASSERT_TRUE(Sees(i));
  }
}

TEST_F(DeviceWorkerTest, WithoutAnythingToDoItDoesNotLook) {
  WatchProgram();
  ASSERT_TRUE(worker_.Start().ok());
  if (watch_.descriptor() < 0) GTEST_SKIP() << "this kernel has no userfaultfd for this process";
  Sleep(20);
  const uint64_t before = client_.polls;
  Sleep(100);
  EXPECT_EQ(client_.polls, before);
}

TEST_F(DeviceWorkerTest, WakeMakesItLook) {
  ASSERT_TRUE(worker_.Start().ok());
  for (uint32_t i = 1; i < 20; ++i) {
    Sleep(1);
    *host_ = i;
    worker_.Wake();
    ASSERT_TRUE(Sees(i));
  }
}

TEST_F(DeviceWorkerTest, AClientsDescriptorIsWaitedFor) {
  const int event = eventfd(0, EFD_CLOEXEC);
  ASSERT_TRUE(worker_.Start().ok());
  Sleep(5);
  client_.descriptor = event;
  worker_.Wake();
  const uint64_t one = 1;
  ASSERT_EQ(write(event, &one, sizeof(one)), 8);
  EXPECT_TRUE(Await([&] { return client_.wakes == 1; }));
  worker_.Stop();
  close(event);
}

TEST_F(DeviceWorkerTest, AfterAForkItLooksFromTimeToTime) {
  WatchProgram();
  ASSERT_TRUE(worker_.Start().ok());
  Sleep(5);
  worker_.AfterForkInParent();
  Sleep(5);
  *host_ = 1;  // as a child does: this mapping is not watched
  EXPECT_TRUE(Sees(1));
}

TEST_F(DeviceWorkerTest, ItStartsAndStopsAgainAndAgain) {
  WatchProgram();
  for (uint32_t i = 1; i < 20; ++i) {
    ASSERT_TRUE(worker_.Start().ok());
    ASSERT_TRUE(worker_.Start().ok());
    EXPECT_TRUE(worker_.running());
    *program_ = i;
    ASSERT_TRUE(Sees(i));
    worker_.Stop();
    worker_.Stop();
    EXPECT_FALSE(worker_.running());
  }
}

TEST_F(DeviceWorkerTest, ItsThreadHasANameAndTakesNoSignals) {
  ASSERT_TRUE(worker_.Start().ok());
  ASSERT_TRUE(Await([&] { return client_.polls > 0; }));
  static std::atomic<int> handled;
  handled = 0;
  struct sigaction action = {};
  action.sa_handler = [](int) { ++handled; };
  sigaction(SIGUSR1, &action, nullptr);
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  kill(getpid(), SIGUSR1);
  Sleep(20);
  EXPECT_EQ(handled, 0);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_TRUE(Await([&] { return handled == 1; }));
}

// Last: there is no way back.
TEST_F(DeviceWorkerTest, WithoutUserfaultfdItLooksLessAndLessOften) {
  DoorbellWatch::DisableTrapping();
  WatchProgram();
  ASSERT_TRUE(worker_.Start().ok());
  EXPECT_LT(watch_.descriptor(), 0);
  Sleep(20);
  const uint64_t before = client_.polls;
  Sleep(100);
  EXPECT_LT(client_.polls - before, 500u);
  *program_ = 1;
  EXPECT_TRUE(Sees(1));
  // Nobody has the page mapped any more: nothing to look at.
  watch_.Remove(reinterpret_cast<uintptr_t>(program_), kPage);
  Sleep(20);
  const uint64_t idle = client_.polls;
  Sleep(50);
  EXPECT_EQ(client_.polls, idle);
}

}  // namespace
}  // namespace ioas::soft
