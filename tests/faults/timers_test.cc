// Handlers of many timers' signals that call themselves, in the middle of calls, on stacks of their
// own, and in the middle of each other.
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <functional>
#include <thread>
#include <vector>

#include "tests/faults/child.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Descriptor;

constexpr uint64_t kPage = 4096;
constexpr int kTimers = 4;
constexpr int kThreads = 3;
// How often each timer's handler has to have called before a test ends.
constexpr int kEnough = 500;
constexpr size_t kSignalStack = 256 * 1024;

int g_container = -1;
void* g_memory = nullptr;
std::atomic<int> g_handled[kTimers];
std::atomic<int> g_wrong{0};

void Expect(bool is_right) {
  if (!is_right) ++g_wrong;
}

// Maps and unmaps a page that nobody else does.
void MapAndUnmap(uint64_t page) {
  const uint64_t iova = page * kPage;
  Expect(tests::MapDma(g_container, g_memory, iova, kPage) == 0);
  Expect(tests::MapDma(g_container, g_memory, iova, kPage) == EEXIST);
  Expect(tests::UnmapDma(g_container, iova, kPage) == static_cast<int64_t>(kPage));
}

// Each handler has pages for each thread that it may run on, for it may run on two at once.
std::atomic<uint64_t> g_threads{0};
uint64_t ThreadNumber() {
  static thread_local const uint64_t number = g_threads++;
  return number;
}

void OnTimer(int signal) {
  const int saved_errno = errno;
  const auto timer = static_cast<uint64_t>(signal - SIGRTMIN);
  MapAndUnmap(1024 + ThreadNumber() * kTimers + timer);
  if (timer == 0) {
    // Files come and go as well.
    const Descriptor other = tests::OpenContainer();
    Expect(ioctl(other.get(), VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1);
  }
  ++g_handled[timer];
  errno = saved_errno;
}

bool HaveHandledEnough() {
  for (const std::atomic<int>& handled : g_handled) {
    if (handled < kEnough) return false;
  }
  return true;
}

// Timers whose handlers may interrupt each other. The odd ones have a stack of their own.
class Timers {
 public:
  Timers() {
    for (int i = 0; i < kTimers; ++i) {
      struct sigaction action = {};
      action.sa_handler = OnTimer;
      action.sa_flags = SA_RESTART | (i % 2 != 0 ? SA_ONSTACK : 0);
      sigaction(SIGRTMIN + i, &action, nullptr);
      sigevent event = {};
      event.sigev_notify = SIGEV_SIGNAL;
      event.sigev_signo = SIGRTMIN + i;
      timer_create(CLOCK_MONOTONIC, &event, &timers_[i]);
    }
  }
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;
  ~Timers() {
    for (timer_t timer : timers_) timer_delete(timer);
  }

  // Has one go off in a moment, the length of which differs from call to call. A timer that went
  // off by itself would leave a slow machine nothing but its handler.
  void Start(unsigned call) const {
    const itimerspec soon = {{0, 0}, {0, 1 + call * 7919 % 60'000}};
    timer_settime(timers_[call % kTimers], 0, &soon, nullptr);
  }

 private:
  std::array<timer_t, kTimers> timers_{};
};

class SignalStack {
 public:
  SignalStack() {
    const stack_t stack = {memory_.data(), 0, memory_.size()};
    sigaltstack(&stack, nullptr);
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;
  ~SignalStack() {
    const stack_t none = {nullptr, SS_DISABLE, 0};
    sigaltstack(&none, nullptr);
  }

 private:
  tests::Memory memory_{kSignalStack};
};

// Calls until all handlers have run often enough.
void CallInALoop(const Timers& timers) {
  const SignalStack stack;
  const uint64_t own = ThreadNumber();
  for (unsigned call = 0; !HaveHandledEnough(); ++call) {
    timers.Start(call);
    MapAndUnmap(own);
    Expect(tests::MappingsAvailable(g_container) >= 65535 - 2 * kThreads * (kTimers + 1));
    const Descriptor copy(dup(g_container));
    Expect(ioctl(copy.get(), VFIO_GET_API_VERSION) == VFIO_API_VERSION);
  }
}

TEST(TimersTest, HandlersOfManyTimersCallInTheMiddleOfCalls) {
  EXPECT_EQ(tests::InChild([] {
              const tests::Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
              const tests::Memory memory(kPage);
              g_container = client.container.get();
              g_memory = memory.data();
              {
                const Timers timers;
                std::vector<std::thread> threads;
                for (int i = 1; i < kThreads; ++i) {
                  threads.emplace_back(CallInALoop, std::cref(timers));
                }
                CallInALoop(timers);
                for (std::thread& thread : threads) thread.join();
              }
              if (g_wrong != 0) return 1;
              return tests::MappingsAvailable(g_container) == 65535 ? 0 : 2;
            }),
            0);
}

// A device's thread, and a child's that has none yet.
TEST(TimersTest, HandlersCallOnADeviceWhoseThreadIsBeingStarted) {
  static int device = -1;
  constexpr auto kReadConfig = [](int /*signal*/) {
    const int saved_errno = errno;
    uint16_t vendor = 0;
    const off_t config = off_t{VFIO_PCI_CONFIG_REGION_INDEX} << 40;
    Expect(pread(device, &vendor, sizeof(vendor), config) == sizeof(vendor) && vendor != 0xffff);
    vfio_device_info info = {};
    info.argsz = sizeof(info);
    Expect(ioctl(device, VFIO_DEVICE_GET_INFO, &info) == 0);
    ++g_handled[0];
    errno = saved_errno;
  };
  const tests::Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  const Descriptor opened = client.OpenDevice(tests::kDevice);
  ASSERT_TRUE(opened.is_open());
  device = opened.get();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(tests::InChild([&] {
                struct sigaction action = {};
                action.sa_handler = kReadConfig;
                sigaction(SIGALRM, &action, nullptr);
                // The child's thread is started by its first call, which a signal meets somewhere.
                for (int calls = 0; calls < 20 || g_handled[0] < 25; ++calls) {
                  const itimerval soon = {{0, 0}, {0, 1 + i * 3 + calls % 7}};
                  setitimer(ITIMER_REAL, &soon, nullptr);
                  kReadConfig(0);
                }
                return g_wrong == 0 ? 0 : 1;
              }),
              0);
  }
}

}  // namespace
