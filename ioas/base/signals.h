// The calling thread's signals.
#ifndef IOAS_BASE_SIGNALS_H_
#define IOAS_BASE_SIGNALS_H_

#include <csignal>
#include <cstdint>

#include "ioas/base/system_call.h"

namespace ioas {

// A bit a signal, as the kernel takes it: libc's sigset_t is larger.
using SignalMask = uint64_t;

// Keeps all signals from the calling thread, so that no handler of the program runs on it. Returns
// the mask that was in force, for RestoreSignals.
inline SignalMask BlockSignals() {
  const SignalMask all = ~SignalMask{0};
  SignalMask before = 0;
  SystemCall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
  return before;
}

// Puts back what BlockSignals returned.
inline void RestoreSignals(SignalMask mask) {
  SystemCall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof(mask));
}

// Blocks them for a scope.
class [[nodiscard]] SignalsBlocked {
 public:
  SignalsBlocked() : before_(BlockSignals()) {}
  ~SignalsBlocked() { RestoreSignals(before_); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  SignalMask before_;
};

}  // namespace ioas

#endif  // IOAS_BASE_SIGNALS_H_
