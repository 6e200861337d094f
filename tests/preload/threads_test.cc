// The library under a program's threads: cancellation, signals, and descriptors that come and go.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <thread>
#include <vector>

#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Descriptor;
using tests::OpenContainer;

void* ReadOneByte(void* fd) {
  char byte;
  const ssize_t length = read(*static_cast<int*>(fd), &byte, 1);
  return reinterpret_cast<void*>(length);
}

TEST(ThreadsTest, AThreadThatReadsCanBeCancelled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Descriptor reader(ends[0]);
  const Descriptor writer(ends[1]);
  int fd = reader.get();
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, ReadOneByte, &fd), 0);
  // Time to get into read(); cancelling it earlier is right too.
  const timespec moment{0, 20'000'000};
  nanosleep(&moment, nullptr);
  ASSERT_EQ(pthread_cancel(thread), 0);
  void* result = nullptr;
  ASSERT_EQ(pthread_join(thread, &result), 0);
  EXPECT_EQ(result, PTHREAD_CANCELED);
  EXPECT_TRUE(OpenContainer().is_open());
}

void* MapForEver(void* container) {
  const tests::Memory memory(4096);
  while (true) {
    tests::MapDma(*static_cast<int*>(container), memory.data(), 0, 4096);
    tests::UnmapDma(*static_cast<int*>(container), 0, 4096);
    pthread_testcancel();
  }
}

TEST(ThreadsTest, ACancelledThreadLeavesNoLockBehind) {
  const tests::Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  int container = client.container.get();
  for (int i = 0; i < 50; ++i) {
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, MapForEver, &container), 0);
    const timespec moment{0, 100'000};
    nanosleep(&moment, nullptr);
    pthread_cancel(thread);
    pthread_join(thread, nullptr);
    ASSERT_GE(tests::UnmapDma(container, 0, 4096), 0);
  }
}

std::atomic<int> calls_in_handler{0};

void CallFromHandler(int /*signal*/) {
  const int saved = errno;
  char byte;
  // Foreign descriptors may be used in a signal handler, whatever was interrupted.
  if (read(-1, &byte, 1) == -1) calls_in_handler.fetch_add(1);
  errno = saved;
}

TEST(ThreadsTest, ASignalHandlerMayCallInTheMiddleOfACall) {
  struct sigaction action {};
  action.sa_handler = CallFromHandler;
  action.sa_flags = SA_RESTART;
  struct sigaction previous {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &previous), 0);
  const tests::Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  const tests::Memory memory(4096);
  const pthread_t target = pthread_self();
  std::atomic<bool> stop{false};
  std::thread sender([&] {
    while (!stop.load()) pthread_kill(target, SIGUSR1);
  });
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(tests::MapDma(client.container.get(), memory.data(), 0, 4096), 0);
    ASSERT_EQ(tests::UnmapDma(client.container.get(), 0, 4096), 4096);
  }
  stop.store(true);
  sender.join();
  sigaction(SIGUSR1, &previous, nullptr);
  EXPECT_GT(calls_in_handler.load(), 0);
}

TEST(ThreadsTest, DescriptorsComeAndGoInEveryThread) {
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&failures] {
      for (int round = 0; round < 200; ++round) {
        const Descriptor container = OpenContainer();
        const Descriptor copy(dup(container.get()));
        const Descriptor other(open("/dev/null", O_RDONLY));
        if (ioctl(copy.get(), VFIO_GET_API_VERSION) != VFIO_API_VERSION) failures.fetch_add(1);
        if (ioctl(other.get(), VFIO_GET_API_VERSION) != -1) failures.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures.load(), 0);
}

}  // namespace
