#include "compat/preload/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace compat::preload {
namespace {

std::atomic<settings::LogLevel> g_level{settings::LogLevel::kWarning};
std::atomic<int> g_log_fd{STDERR_FILENO};

}  // namespace

void StartLog(settings::LogLevel level, const char* file) {
  g_level = level;
  if (*file == '\0') return;
  const auto hidden = ioas::soft::OpenHidden([file] {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    return ioas::SystemCall(SYS_openat, AT_FDCWD, file, kFlags, 0644);
  });
  if (hidden.ok()) {
    g_log_fd = *hidden;
  } else {
    const int code = hidden.error().code;
    Log(settings::LogLevel::kError, "cannot open the log file %s (errno %d)", file, code);
  }
}

bool IsLogged(settings::LogLevel level) { return level <= g_level.load(std::memory_order_relaxed); }

void Log(settings::LogLevel level, const char* format, ...) {
  if (!IsLogged(level)) return;
  const int saved_errno = errno;
  char line[512];
  size_t length = static_cast<size_t>(std::snprintf(line, sizeof(line), "vfio-compat: "));
  va_list arguments;
  va_start(arguments, format);
  const int printed = std::vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
  va_end(arguments);
  if (printed > 0) length = std::min(length + static_cast<size_t>(printed), sizeof(line) - 2);
  line[length++] = '\n';
  ioas::SystemCall(SYS_write, g_log_fd.load(), line, length);
  errno = saved_errno;
}

}  // namespace compat::preload
