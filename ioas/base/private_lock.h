// A lock of this process alone.
#ifndef IOAS_BASE_PRIVATE_LOCK_H_
#define IOAS_BASE_PRIVATE_LOCK_H_

#include <pthread.h>

#include "ioas/base/signals.h"

namespace ioas {

// Usable before constructors have run. While it is held no signal handler of the program runs on
// the thread: one that calls into the library would wait for itself.
class PrivateLock {
 public:
  class [[nodiscard]] Guard {
   public:
    explicit Guard(PrivateLock& lock) : lock_(lock), before_(lock.Lock()) {}
    ~Guard() { lock_.Unlock(before_); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    PrivateLock& lock_;
    SignalMask before_;
  };

  constexpr PrivateLock() = default;
  // Returns the thread's signals, for Unlock.
  SignalMask Lock() {
    const SignalMask before = BlockSignals();
    pthread_mutex_lock(&mutex_);
    return before;
  }
  void Unlock(SignalMask before) {
    pthread_mutex_unlock(&mutex_);
    RestoreSignals(before);
  }
  // For a forked child, where the thread that held it may not be.
  void AfterForkInChild() { mutex_ = PTHREAD_MUTEX_INITIALIZER; }

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

}  // namespace ioas

#endif  // IOAS_BASE_PRIVATE_LOCK_H_
