// From the core's results to what libc's functions return.
#ifndef COMPAT_PRELOAD_ANSWER_H_
#define COMPAT_PRELOAD_ANSWER_H_

#include <cerrno>

#include "compat/preload/log.h"
#include "ioas/base/result.h"

namespace compat::preload {

// Fails a call: sets errno to the error's code, logs why, and returns -1. `what` names the call.
inline int Fail(const char* what, int fd, const ioas::Error& error) {
  Log(settings::LogLevel::kDebug, "%s on descriptor %d: errno %d: %s", what, fd, error.code,
      error.reason);
  errno = error.code;
  return -1;
}

// The value of `result`, with errno as it was; or -1 as Fail has it.
template <typename T>
long Answer(const char* what, int fd, const ioas::Result<T>& result) {
  if (result.ok()) return static_cast<long>(*result);
  return Fail(what, fd, result.error());
}

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_ANSWER_H_
