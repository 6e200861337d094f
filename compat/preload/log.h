// The library's log: lines on standard error, or in a file, written with one system call each.
#ifndef COMPAT_PRELOAD_LOG_H_
#define COMPAT_PRELOAD_LOG_H_

#include "compat/settings/settings.h"

namespace compat::preload {

// Says what is logged from now on, and where: an empty `file` is standard error. A file that cannot
// be opened is standard error too.
void StartLog(settings::LogLevel level, const char* file);

// Whether lines of `level` are logged. Cheap.
bool IsLogged(settings::LogLevel level);

// Logs a line, with printf's formats, cut off at some hundred bytes. Leaves errno alone.
void Log(settings::LogLevel level, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_LOG_H_
