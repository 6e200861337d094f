#include "ioas/kernel/system_calls.h"

namespace ioas::kernel {
namespace {

class KernelsSystemCalls final : public SystemCalls {
 public:
  long Invoke(long number, const long (&arguments)[6]) override {
    return SystemCall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                      arguments[5]);
  }
  long Ioctl(int fd, uint32_t request, long argument) override {
    return SystemCall(SYS_ioctl, fd, request, argument);
  }
};

}  // namespace

SystemCalls& RealSystemCalls() {
  static constinit KernelsSystemCalls calls;
  return calls;
}

}  // namespace ioas::kernel
