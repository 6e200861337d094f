#include "ioas/base/robust_mutex.h"

#include <atomic>
#include <csignal>

#include "ioas/base/system_call.h"

namespace ioas {
namespace {

// The kernel's sigset_t is one bit per signal; libc's is larger and is not what the call takes.
using KernelSignalSet = unsigned long;
static_assert(sizeof(KernelSignalSet) == 8);

std::atomic<bool> may_have_handlers{true};

// How many RobustLocks the thread holds. Initial exec: it is asked for at each lock, and in the
// preload library the other models ask for its address by a call.
__thread unsigned locks_held __attribute__((tls_model("initial-exec")));

}  // namespace

void RobustMutex::Initialize() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

void SetMayHaveSignalHandlers(bool may_have) { may_have_handlers = may_have; }

bool MayHaveSignalHandlers() { return may_have_handlers; }

bool RobustLock::IsHeldByThisThread() { return locks_held != 0; }

RobustLock::RobustLock(RobustMutex& mutex)
    : mutex_(mutex),
      blocks_signals_(locks_held == 0 && may_have_handlers.load(std::memory_order_relaxed)) {
  if (blocks_signals_) {
    const KernelSignalSet all = ~0UL;
    SystemCall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &saved_signals_, sizeof(all));
  }
  ++locks_held;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  owner_died_ = mutex_.Lock();
}

RobustLock::~RobustLock() {
  mutex_.Unlock();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  --locks_held;
  if (blocks_signals_) {
    SystemCall(SYS_rt_sigprocmask, SIG_SETMASK, &saved_signals_, nullptr, sizeof(saved_signals_));
  }
}

}  // namespace ioas
