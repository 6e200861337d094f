// A mutex that lives in shared memory and survives the death of its holder.
#ifndef IOAS_BASE_ROBUST_MUTEX_H_
#define IOAS_BASE_ROBUST_MUTEX_H_

#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "ioas/base/signals.h"

namespace ioas {

// Process-shared and robust (pthread_mutexattr_setrobust). Lies in an arena, so it has no
// constructor: whoever makes the object that holds it calls Initialize once.
class RobustMutex {
 public:
  void Initialize();
  // Waits for the mutex and takes it. Returns true if its last holder died with it: what it
  // guards may then be half changed.
  [[nodiscard]] bool Lock() {
    int result = pthread_mutex_trylock(&mutex_);
    if (result == EBUSY) [[unlikely]]
      result = Wait();
    return result == EOWNERDEAD && pthread_mutex_consistent(&mutex_) == 0;
  }
  // The same, but gives up after about `milliseconds`: returns whether it took the mutex, and says
  // in `owner_died` what Lock returns.
  [[nodiscard]] bool LockWithin(uint32_t milliseconds, bool& owner_died);
  void Unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  // The rest of Lock where somebody holds it. Returns what pthread_mutex_lock() does.
  int Wait();

  pthread_mutex_t mutex_;
};

// Says whether the program may have a signal handler, which RobustLock is to keep out: two system
// calls. It is taken to have one until this says otherwise.
void SetMayHaveSignalHandlers(bool may_have);
bool MayHaveSignalHandlers();

namespace internal {

extern std::atomic<bool> may_have_handlers;
// How many RobustLocks the thread holds. Initial exec: it is asked for at each lock, and in the
// preload library the other models ask for its address by a call.
extern __thread unsigned locks_held __attribute__((tls_model("initial-exec")));

}  // namespace internal

// Holds a RobustMutex for a scope. No signal handler of the program runs on this thread meanwhile:
// one that itself calls into the library would otherwise wait for its own thread. Where the program
// has none (MayHaveSignalHandlers) nothing is done about it.
class [[nodiscard]] RobustLock {
 public:
  explicit RobustLock(RobustMutex& mutex)
      : mutex_(mutex),
        blocks_signals_(internal::locks_held == 0 &&
                        internal::may_have_handlers.load(std::memory_order_relaxed)) {
    if (blocks_signals_) [[unlikely]]
      saved_signals_ = BlockSignals();
    ++internal::locks_held;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    owner_died_ = mutex_.Lock();
  }
  ~RobustLock() {
    mutex_.Unlock();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    --internal::locks_held;
    if (blocks_signals_) [[unlikely]]
      RestoreSignals(saved_signals_);
  }
  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;

  // Whether the calling thread holds any. Asked where nobody who holds one comes, it tells a signal
  // handler that nobody knew of, and that must not wait: it interrupted the thread inside.
  static bool IsHeldByThisThread() { return internal::locks_held != 0; }

  // The last holder died inside: see RobustMutex::Lock.
  bool owner_died() const { return owner_died_; }

 private:
  RobustMutex& mutex_;
  SignalMask saved_signals_ = 0;
  bool blocks_signals_;  // this lock does, being the thread's first
  bool owner_died_;
};

// Holds a RobustMutex for a scope, if it can be had within a time: for those who must not wait for
// a program's thread, which may hold it for ever. For threads that have all signals blocked.
class [[nodiscard]] TimedRobustLock {
 public:
  TimedRobustLock(RobustMutex& mutex, uint32_t milliseconds);
  ~TimedRobustLock();
  TimedRobustLock(const TimedRobustLock&) = delete;
  TimedRobustLock& operator=(const TimedRobustLock&) = delete;

  bool held() const { return held_; }
  // As RobustLock's.
  bool owner_died() const { return owner_died_; }

 private:
  RobustMutex& mutex_;
  bool owner_died_ = false;
  bool held_;
};

}  // namespace ioas

#endif  // IOAS_BASE_ROBUST_MUTEX_H_
