#include "ioas/base/robust_mutex.h"

#include <atomic>
#include <ctime>

#include "ioas/base/system_call.h"

namespace ioas {
namespace internal {

std::atomic<bool> may_have_handlers{true};
__thread unsigned locks_held __attribute__((tls_model("initial-exec")));

}  // namespace internal

void RobustMutex::Initialize() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

// A waiter who is killed after it was woken, and before it could take the mutex, takes the others'
// turn with it: the kernel wakes another one only if the mutex is free at that moment
// (handle_futex_death in kernel/futex/core.c). So nobody waits for long without looking again.
int RobustMutex::Wait() {
  constexpr long kSecond = 1'000'000'000;
  constexpr long kPatience = 100'000'000;
  for (;;) {
    timespec until = {};
    SystemCall(SYS_clock_gettime, CLOCK_REALTIME, &until);
    until.tv_nsec += kPatience;
    if (until.tv_nsec >= kSecond) {
      until.tv_nsec -= kSecond;
      ++until.tv_sec;
    }
    // By the clock that may be set, since ThreadSanitizer knows nothing of
    // pthread_mutex_clocklock().
    const int result = pthread_mutex_timedlock(&mutex_, &until);
    if (result != ETIMEDOUT) return result;
  }
}

bool RobustMutex::LockWithin(uint32_t milliseconds, bool& owner_died) {
  constexpr timespec kMoment = {0, 1'000'000};
  for (uint32_t waited = 0;; ++waited) {
    const int result = pthread_mutex_trylock(&mutex_);
    owner_died = result == EOWNERDEAD && pthread_mutex_consistent(&mutex_) == 0;
    if (result == 0 || owner_died) return true;
    if (waited == milliseconds) return false;
    SystemCall(SYS_nanosleep, &kMoment, nullptr);
  }
}

void SetMayHaveSignalHandlers(bool may_have) { internal::may_have_handlers = may_have; }

bool MayHaveSignalHandlers() { return internal::may_have_handlers; }

TimedRobustLock::TimedRobustLock(RobustMutex& mutex, uint32_t milliseconds)
    : mutex_(mutex), held_(mutex.LockWithin(milliseconds, owner_died_)) {
  if (held_) ++internal::locks_held;
}

TimedRobustLock::~TimedRobustLock() {
  if (!held_) return;
  mutex_.Unlock();
  --internal::locks_held;
}

}  // namespace ioas
