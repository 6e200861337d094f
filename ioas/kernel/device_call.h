// An ioctl on one of the kernel's nodes, made until it is not interrupted.
#ifndef IOAS_KERNEL_DEVICE_CALL_H_
#define IOAS_KERNEL_DEVICE_CALL_H_

#include <cerrno>
#include <cstdint>

#include "ioas/kernel/system_calls.h"

namespace ioas::kernel {

// How often a call is made that is interrupted each time.
inline constexpr int kMaxAttempts = 16;

// Makes ioctl `request` of `fd` with `argument` (an integer or a pointer). Returns its result or a
// negated errno. EINTR and EAGAIN, which the pinning of memory gives (mm/gup.c) when a signal or
// another thread's fault is in its way, mean that nothing has been done: it is made again, but not
// for ever.
template <typename Argument>
long DeviceCall(SystemCalls& calls, int fd, uint32_t request, Argument argument) {
  long result = 0;
  for (int i = 0; i < kMaxAttempts; ++i) {
    result = calls.Ioctl(fd, request, SystemCallRegister(argument));
    if (result != -EINTR && result != -EAGAIN) [[likely]]
      break;
  }
  return result;
}

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_DEVICE_CALL_H_
