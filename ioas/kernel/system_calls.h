// System calls as an interface: the kernel's, or a test's that fails some of them.
#ifndef IOAS_KERNEL_SYSTEM_CALLS_H_
#define IOAS_KERNEL_SYSTEM_CALLS_H_

#include <cstdint>
#include <utility>

#include "ioas/base/system_call.h"

namespace ioas::kernel {

class SystemCalls {
 public:
  SystemCalls(const SystemCalls&) = delete;
  SystemCalls& operator=(const SystemCalls&) = delete;

  // Makes system call `number`. Returns its result, or the negated errno; errno itself is left
  // alone.
  virtual long Invoke(long number, const long (&arguments)[6]) = 0;

  // Makes an ioctl, the call that is made most, as Invoke would.
  long Ioctl(int fd, uint32_t request, long argument) {
    if (are_real_) [[likely]]
      return SystemCall(SYS_ioctl, fd, request, argument);
    return Invoke(SYS_ioctl, {fd, request, argument, 0, 0, 0});
  }

  // The same for up to six integers and pointers, as ioas::SystemCall takes them; the arguments
  // that are left out are 0.
  template <typename... Arguments>
  long operator()(long number, Arguments... arguments) {
    static_assert(sizeof...(arguments) <= 6);
    const long registers[6] = {SystemCallRegister(arguments)...};
    return Invoke(number, registers);
  }

 protected:
  // Not virtual, so that what RealSystemCalls returns lives until the process ends: threads make
  // calls while exit runs destructors.
  SystemCalls() = default;
  ~SystemCalls() = default;

 private:
  friend class RealCalls;
  explicit constexpr SystemCalls(bool are_real) : are_real_(are_real) {}

  const bool are_real_ = false;
};

// The kernel's own.
SystemCalls& RealSystemCalls();

// A descriptor that is closed with its owner.
class OwnedDescriptor {
 public:
  OwnedDescriptor() = default;
  OwnedDescriptor(SystemCalls& calls, int fd) : calls_(&calls), fd_(fd) {}
  OwnedDescriptor(OwnedDescriptor&& other) noexcept : calls_(other.calls_), fd_(other.Release()) {}
  OwnedDescriptor& operator=(OwnedDescriptor&& other) noexcept {
    std::swap(calls_, other.calls_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~OwnedDescriptor() {
    if (fd_ >= 0) (*calls_)(SYS_close, fd_);
  }

  // -1 if there is none.
  int get() const { return fd_; }
  // Leaves it open, to the caller.
  int Release() { return std::exchange(fd_, -1); }

 private:
  SystemCalls* calls_ = nullptr;
  int fd_ = -1;
};

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_SYSTEM_CALLS_H_
