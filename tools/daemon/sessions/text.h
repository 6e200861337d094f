// Text that processes send: nothing of it reaches a log or a caller as it came.
#ifndef TOOLS_DAEMON_SESSIONS_TEXT_H_
#define TOOLS_DAEMON_SESSIONS_TEXT_H_

#include <cstddef>
#include <cstring>
#include <span>
#include <string>

namespace tools::daemon {

// Whether `text` ends with a zero.
inline bool IsTerminated(std::span<const char> text) {
  return std::memchr(text.data(), 0, text.size()) != nullptr;
}

// What is before the first zero, or all of it: UTF-8, in which '?' takes the place of every control
// character and of every byte that is not UTF-8.
std::string Printable(std::span<const char> text);

// Whether `text` ends with a zero, and what is before that is graphic ASCII.
bool IsName(std::span<const char> text);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_TEXT_H_
