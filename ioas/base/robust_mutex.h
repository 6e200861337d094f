// A mutex that lives in shared memory and survives the death of its holder.
#ifndef IOAS_BASE_ROBUST_MUTEX_H_
#define IOAS_BASE_ROBUST_MUTEX_H_

#include <pthread.h>

namespace ioas {

// Process-shared and robust (pthread_mutexattr_setrobust). Lies in an arena, so it has no
// constructor: whoever makes the object that holds it calls Initialize once.
class RobustMutex {
 public:
  void Initialize();
  // Waits for the mutex and takes it. Returns true if its last holder died with it: what it
  // guards may then be half changed.
  [[nodiscard]] bool Lock();
  void Unlock();

 private:
  pthread_mutex_t mutex_;
};

// Holds a RobustMutex for a scope. No signal handler of the program runs on this thread meanwhile:
// one that itself calls into the library would otherwise wait for its own thread.
class [[nodiscard]] RobustLock {
 public:
  explicit RobustLock(RobustMutex& mutex);
  ~RobustLock();
  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;

  // The last holder died inside: see RobustMutex::Lock.
  bool owner_died() const { return owner_died_; }

 private:
  RobustMutex& mutex_;
  unsigned long saved_signals_;
  bool owner_died_;
};

}  // namespace ioas

#endif  // IOAS_BASE_ROBUST_MUTEX_H_
