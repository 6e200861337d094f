// System calls without libc's wrappers, for code that runs inside a program that interposes them.
#ifndef IOAS_BASE_SYSTEM_CALL_H_
#define IOAS_BASE_SYSTEM_CALL_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>

namespace ioas {

// An argument, an integer or a pointer, as the kernel takes it: a whole register. An int passed as
// it is would leave the register's upper half undefined.
template <typename Argument>
long SystemCallRegister(Argument argument) {
  if constexpr (std::is_pointer_v<Argument>) {
    return reinterpret_cast<long>(argument);
  } else if constexpr (std::is_null_pointer_v<Argument>) {
    return 0;
  } else {
    return static_cast<long>(argument);
  }
}

// The kernel's own entry, with all six registers. Returns what the kernel does: the result, or the
// negated errno.
inline long EnterKernel(long number, long a, long b, long c, long d, long e, long f) {
  // The analyzer does not see what an assembler's instruction writes.
#if defined(__x86_64__) && !defined(__clang_analyzer__)
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#else
  const int saved_errno = errno;
  const long result = ::syscall(number, a, b, c, d, e, f);
  if (result != -1) return result;
  const int code = errno;
  errno = saved_errno;
  return -code;
#endif
}

// Makes system call `number` with up to six `arguments`, integers or pointers, directly: no
// interposed function is entered, the call is no cancellation point, and the caller's errno is left
// alone. Returns the call's result, or the negated errno.
template <typename... Arguments>
long SystemCall(long number, Arguments... arguments) {
  static_assert(sizeof...(arguments) <= 6);
  const long registers[6] = {SystemCallRegister(arguments)...};
  return EnterKernel(number, registers[0], registers[1], registers[2], registers[3], registers[4],
                     registers[5]);
}

}  // namespace ioas

#endif  // IOAS_BASE_SYSTEM_CALL_H_
