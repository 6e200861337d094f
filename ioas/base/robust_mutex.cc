#include "ioas/base/robust_mutex.h"

#include <cerrno>
#include <csignal>

#include "ioas/base/system_call.h"

namespace ioas {
namespace {

// The kernel's sigset_t is one bit per signal; libc's is larger and is not what the call takes.
using KernelSignalSet = unsigned long;
static_assert(sizeof(KernelSignalSet) == 8);

}  // namespace

void RobustMutex::Initialize() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

bool RobustMutex::Lock() {
  if (pthread_mutex_lock(&mutex_) != EOWNERDEAD) return false;
  pthread_mutex_consistent(&mutex_);
  return true;
}

void RobustMutex::Unlock() { pthread_mutex_unlock(&mutex_); }

RobustLock::RobustLock(RobustMutex& mutex) : mutex_(mutex) {
  const KernelSignalSet all = ~0UL;
  SystemCall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &saved_signals_, sizeof(all));
  owner_died_ = mutex_.Lock();
}

RobustLock::~RobustLock() {
  mutex_.Unlock();
  SystemCall(SYS_rt_sigprocmask, SIG_SETMASK, &saved_signals_, nullptr, sizeof(saved_signals_));
}

}  // namespace ioas
