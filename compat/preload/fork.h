// What a fork means for this library's process-local state.
#ifndef COMPAT_PRELOAD_FORK_H_
#define COMPAT_PRELOAD_FORK_H_

namespace compat::preload {

// Has the handlers called around each fork() from now on. To be called before the locks for opening
// a host are taken; calls after the first do nothing. A program that asks for no host never hears
// of them.
void HandleForks();

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_FORK_H_
