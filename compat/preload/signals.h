// Whether the program has handlers of signals.
#ifndef COMPAT_PRELOAD_SIGNALS_H_
#define COMPAT_PRELOAD_SIGNALS_H_

namespace compat::preload {

// Lets locks leave signals alone as long as the program has no handler (ioas::RobustLock): none is
// there now (/proc/self/status), and none is installed later by the functions that do so. To be
// called once, before the process takes its first lock.
void WatchSignalHandlers();

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_SIGNALS_H_
