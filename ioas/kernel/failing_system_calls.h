// System calls that fail on demand, for tests.
#ifndef IOAS_KERNEL_FAILING_SYSTEM_CALLS_H_
#define IOAS_KERNEL_FAILING_SYSTEM_CALLS_H_

#include <atomic>
#include <cstdint>

#include "ioas/kernel/system_calls.h"

namespace ioas::kernel {

// Passes calls on to another SystemCalls, but for those that are to fail: these are not made. A
// close() that fails is, as the kernel closes the descriptor whatever it returns (close(2)).
class FailingSystemCalls final : public SystemCalls {
 public:
  static constexpr long kAny = -1;
  // Which calls count, and can fail.
  struct Filter {
    long number = kAny;   // the system call
    long request = kAny;  // its second argument: an ioctl's request
  };

  // `next` outlives it.
  explicit FailingSystemCalls(SystemCalls& next) : next_(next) {}

  // Of the calls that match `filter` the `nth` from now on (from 1) fails with errno `code`, and
  // so do those that follow until `times` have failed. Call it while no other thread makes calls.
  void Fail(uint64_t nth, int code, const Filter& filter, uint64_t times = 1);
  void Fail(uint64_t nth, int code) { Fail(nth, code, Filter()); }
  // Lets all calls pass, and counts all from 0.
  void FailNone() { Fail(0, 0, Filter(), 0); }

  // Calls that matched the filter since Fail or FailNone, those that failed among them.
  uint64_t count() const { return count_; }

  long Invoke(long number, const long (&arguments)[6]) override;

 private:
  SystemCalls& next_;
  Filter filter_;
  std::atomic<uint64_t> count_ = 0;
  uint64_t first_ = 0;  // the first call that fails
  uint64_t times_ = 0;
  int code_ = 0;
};

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_FAILING_SYSTEM_CALLS_H_
