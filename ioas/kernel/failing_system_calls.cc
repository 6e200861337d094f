#include "ioas/kernel/failing_system_calls.h"

namespace ioas::kernel {

void FailingSystemCalls::Fail(uint64_t nth, int code, const Filter& filter, uint64_t times) {
  filter_ = filter;
  first_ = nth;
  times_ = times;
  code_ = code;
  count_ = 0;
}

long FailingSystemCalls::Invoke(long number, const long (&arguments)[6]) {
  const bool counts = (filter_.number == kAny || filter_.number == number) &&
                      (filter_.request == kAny || filter_.request == arguments[1]);
  if (counts) {
    const uint64_t call = ++count_;
    if (call >= first_ && call - first_ < times_) {
      if (number == SYS_close) next_.Invoke(number, arguments);
      return -code_;
    }
  }
  return next_.Invoke(number, arguments);
}

}  // namespace ioas::kernel
