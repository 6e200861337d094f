#include "ioas/kernel/system_calls.h"

namespace ioas::kernel {

class RealCalls final : public SystemCalls {
 public:
  constexpr RealCalls() : SystemCalls(true) {}
  long Invoke(long number, const long (&arguments)[6]) override {
    return SystemCall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                      arguments[5]);
  }
};

SystemCalls& RealSystemCalls() {
  static constinit RealCalls calls;
  return calls;
}

}  // namespace ioas::kernel
