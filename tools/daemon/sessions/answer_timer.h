// The second that a process has for an answer: one timer for all sessions.
#ifndef TOOLS_DAEMON_SESSIONS_ANSWER_TIMER_H_
#define TOOLS_DAEMON_SESSIONS_ANSWER_TIMER_H_

#include <sys/timerfd.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "tools/daemon/sockets/unique_fd.h"

namespace tools::daemon {

using Clock = std::chrono::steady_clock;

// How long a process may take to answer, and to say who it is.
inline constexpr std::chrono::milliseconds kAnswerTime{1000};

// Deadlines are all as far from their requests, so it is enough to know the first of them.
class AnswerTimer {
 public:
  // Readable when the timer has run out.
  int fd() const { return timer_.get(); }

  // Has it run out in kAnswerTime, if it does not run already. From any thread.
  void Arm() {
    if (!is_armed_.exchange(true)) Set(Clock::now() + kAnswerTime);
  }
  // The server's thread, when it has run out: what was armed before is looked at now.
  void Disarm() { is_armed_ = false; }
  // The server's thread: has it run out at `time`, the first of the deadlines that are left.
  void ArmAt(Clock::time_point time) {
    if (!is_armed_.exchange(true)) Set(time);
  }

 private:
  void Set(Clock::time_point time) {
    const auto left =
        std::max<std::chrono::nanoseconds>(time - Clock::now(), std::chrono::milliseconds(1));
    itimerspec specification{};
    specification.it_value.tv_sec = left.count() / 1'000'000'000;
    specification.it_value.tv_nsec = left.count() % 1'000'000'000;
    timerfd_settime(timer_.get(), 0, &specification, nullptr);
  }

  const UniqueFd timer_{timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
  std::atomic<bool> is_armed_ = false;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_ANSWER_TIMER_H_
