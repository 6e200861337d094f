// System calls that a test answers.
#ifndef IOAS_KERNEL_SCRIPTED_SYSTEM_CALLS_H_
#define IOAS_KERNEL_SCRIPTED_SYSTEM_CALLS_H_

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "ioas/kernel/system_calls.h"

namespace ioas::kernel {

// Ioctls go to the answer that was given for their request, other calls to that for their number;
// without one they are ENOTTY, or ENOSYS.
class ScriptedSystemCalls final : public SystemCalls {
 public:
  // The requests of all ioctls, and the numbers of all other calls, in their order.
  std::vector<long> made;
  int last_fd = -1;  // the first argument of the last call

  // Answers `request` by what `answer` returns; it is given the third argument, a Structure's
  // address.
  template <typename Structure, typename Answer>
  void OnIoctl(long request, Answer answer) {
    ioctls_[request] = [answer](long argument) -> long {
      return answer(*reinterpret_cast<Structure*>(argument));
    };
  }
  // The same for ioctls whose argument is a number.
  void OnValueIoctl(long request, std::function<long(long)> answer) {
    ioctls_[request] = std::move(answer);
  }
  // Answers system call `number`; `answer` is given the arguments.
  void OnCall(long number, std::function<long(const long (&)[6])> answer) {
    calls_[number] = std::move(answer);
  }

  long Invoke(long number, const long (&arguments)[6]) override {
    last_fd = static_cast<int>(arguments[0]);
    if (number == SYS_ioctl) {
      made.push_back(arguments[1]);
      const auto found = ioctls_.find(arguments[1]);
      return found == ioctls_.end() ? -ENOTTY : found->second(arguments[2]);
    }
    made.push_back(number);
    const auto found = calls_.find(number);
    return found == calls_.end() ? -ENOSYS : found->second(arguments);
  }

 private:
  std::map<long, std::function<long(long)>> ioctls_;
  std::map<long, std::function<long(const long (&)[6])>> calls_;
};

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_SCRIPTED_SYSTEM_CALLS_H_
