// A lock of this process alone.
#ifndef COMPAT_PRELOAD_PRIVATE_LOCK_H_
#define COMPAT_PRELOAD_PRIVATE_LOCK_H_

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "ioas/base/system_call.h"

namespace compat::preload {

// Usable before constructors have run. While it is held no signal handler of the program runs on
// the thread: one that calls into the library would wait for itself.
class PrivateLock {
 public:
  class [[nodiscard]] Guard {
   public:
    explicit Guard(PrivateLock& lock) : lock_(lock) { lock_.Lock(saved_signals_); }
    ~Guard() { lock_.Unlock(saved_signals_); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    PrivateLock& lock_;
    unsigned long saved_signals_ = 0;
  };

  constexpr PrivateLock() = default;
  void Lock(unsigned long& saved_signals) {
    const unsigned long all = ~0ul;
    ioas::SystemCall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &saved_signals, sizeof(all));
    pthread_mutex_lock(&mutex_);
  }
  void Unlock(const unsigned long& saved_signals) {
    pthread_mutex_unlock(&mutex_);
    ioas::SystemCall(SYS_rt_sigprocmask, SIG_SETMASK, &saved_signals, nullptr,
                     sizeof(saved_signals));
  }

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PRIVATE_LOCK_H_
