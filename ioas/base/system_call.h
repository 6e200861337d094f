// System calls without libc's wrappers, for code that runs inside a program that interposes them.
#ifndef IOAS_BASE_SYSTEM_CALL_H_
#define IOAS_BASE_SYSTEM_CALL_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>

namespace ioas {

// An argument as the kernel takes it: a whole register. An int passed as it is would leave the
// upper half of its stack slot undefined.
template <typename Argument>
auto SystemCallArgument(Argument argument) {
  if constexpr (std::is_integral_v<Argument> || std::is_enum_v<Argument>) {
    return static_cast<long>(argument);
  } else {
    return static_cast<const volatile void*>(argument);
  }
}

// Makes system call `number` with `arguments`, directly: no interposed function is entered, the
// call is no cancellation point, and the caller's errno is left alone. Returns the call's result,
// or the negated errno.
template <typename... Arguments>
long SystemCall(long number, Arguments... arguments) {
  const int saved_errno = errno;
  const long result = ::syscall(number, SystemCallArgument(arguments)...);
  if (result != -1) return result;
  const int code = errno;
  errno = saved_errno;
  return -code;
}

}  // namespace ioas

#endif  // IOAS_BASE_SYSTEM_CALL_H_
