// Signal handlers that call into the library themselves, whatever they interrupt.
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>

#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

extern "C" sighandler_t bsd_signal(int number, sighandler_t handler);

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHandlersIova = uint64_t{1} << 20;

int g_container = -1;
void* g_memory = nullptr;
volatile sig_atomic_t g_calls = 0;
volatile sig_atomic_t g_deadlocks = 0;
volatile sig_atomic_t g_failures = 0;
std::atomic<int> g_signals_handled{0};

// What MapDma or UnmapDma returned.
void Count(int64_t result, int64_t expected) {
  g_calls = g_calls + 1;
  if (result == expected) return;
  if (result == EDEADLK || result == -EDEADLK) {
    g_deadlocks = g_deadlocks + 1;
  } else {
    g_failures = g_failures + 1;
  }
}

void MapAndUnmap(int signal) {
  const int saved_errno = errno;
  // What System V's signal() installed is gone when the handler runs.
  if (signal == SIGUSR2) std::signal(SIGUSR2, MapAndUnmap);
  const int mapped = tests::MapDma(g_container, g_memory, kHandlersIova, kPage);
  Count(mapped, 0);
  // Not if the handler was refused: nothing is mapped then.
  if (mapped == 0) Count(tests::UnmapDma(g_container, kHandlersIova, kPage), kPage);
  ++g_signals_handled;
  errno = saved_errno;
}

// Calls while signals arrive whose handler calls as well. Returns what went wrong, to be the
// process's status.
int CallUnderSignals(int number) {
  const tests::Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  const tests::Memory memory(kPage);
  g_container = client.container.get();
  g_memory = memory.data();
  const pthread_t target = pthread_self();
  std::atomic<bool> stop{false};
  std::thread sender([&] {
    while (!stop) {
      // One at a time: System V's signal() lets the next one interrupt the handler, or kill.
      const int handled = g_signals_handled;
      pthread_kill(target, number);
      while (g_signals_handled == handled && !stop) usleep(10);
    }
  });
  int failures = 0;
  for (int i = 0; i < 3000 || g_calls < 20; ++i) {
    if (tests::MapDma(g_container, memory.data(), 0, kPage) != 0) ++failures;
    if (tests::UnmapDma(g_container, 0, kPage) != static_cast<long>(kPage)) ++failures;
  }
  stop = true;
  sender.join();
  // A handler that was refused in the middle left something behind.
  (void)tests::UnmapDma(g_container, kHandlersIova, kPage);
  if (failures != 0 || g_failures != 0) return 1;
  return 0;
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // sigset

// Each test is a process of its own, because what is known of handlers is the process's.
template <typename Body>
int StatusOf(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(body());
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

struct Installer {
  const char* name;
  void (*install)(int number);
};
constexpr Installer kInstallers[] = {
    {"sigaction",
     [](int number) {
       struct sigaction action = {};
       action.sa_handler = MapAndUnmap;
       sigaction(number, &action, nullptr);
     }},
    {"signal", [](int number) { signal(number, MapAndUnmap); }},
    {"ssignal", [](int number) { ssignal(number, MapAndUnmap); }},
    {"bsd_signal", [](int number) { bsd_signal(number, MapAndUnmap); }},
    {"sysv_signal", [](int number) { sysv_signal(number, MapAndUnmap); }},
    {"__sysv_signal", [](int number) { __sysv_signal(number, MapAndUnmap); }},
    {"sigset", [](int number) { sigset(number, MapAndUnmap); }},
};

TEST(SignalsTest, AHandlerThatWasThereBeforeMayMakeCalls) {
  for (const Installer& installer : kInstallers) {
    EXPECT_EQ(StatusOf([&] {
                installer.install(SIGUSR2);
                const int status = CallUnderSignals(SIGUSR2);
                return status != 0 ? status : g_deadlocks != 0 ? 3 : 0;
              }),
              0)
        << installer.name;
  }
}

TEST(SignalsTest, AHandlerThatIsInstalledLaterMayMakeCalls) {
  for (const Installer& installer : kInstallers) {
    EXPECT_EQ(StatusOf([&] {
                // The host is open from here on.
                (void)tests::OpenContainer();
                installer.install(SIGUSR2);
                const int status = CallUnderSignals(SIGUSR2);
                return status != 0 ? status : g_deadlocks != 0 ? 3 : 0;
              }),
              0)
        << installer.name;
  }
}

#ifdef __x86_64__
extern "C" void ReturnFromSignal();
asm("ReturnFromSignal: mov $15, %eax; syscall");

// By a system call of the program's own, so that the library knows nothing of it.
void InstallUnseen(int number) {
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    unsigned long mask;
  } action = {MapAndUnmap, SA_RESTART | 0x04000000 /* SA_RESTORER */, ReturnFromSignal, 0};
  syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof(action.mask));
}

TEST(SignalsTest, AHandlerThatNobodyKnowsOfIsRefusedInTheMiddleOfACallAndDoesNotHang) {
  EXPECT_EQ(StatusOf([] {
              (void)tests::OpenContainer();
              InstallUnseen(SIGUSR1);
              return CallUnderSignals(SIGUSR1);
            }),
            0);
}
#endif

}  // namespace
