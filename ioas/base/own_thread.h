// The library's own threads in a program.
#ifndef IOAS_BASE_OWN_THREAD_H_
#define IOAS_BASE_OWN_THREAD_H_

#include <pthread.h>

namespace ioas {

enum class Scheduling {
  kInherited,  // as the thread that starts it
  kOrdinary,   // SCHED_OTHER, whatever the thread that starts it has
};

// Starts a thread with a small stack, on which no signal handler of the program ever runs: signals
// are for the program's own threads. It may run on all processors that the program was given when
// it was started: a thread that binds itself to one to poll there, as DPDK's do, would otherwise
// share it with all that it starts. Where the program may set neither processors nor scheduling
// (QEMU's `-sandbox resourcecontrol=deny`), the thread has those of the one that starts it. Returns
// 0 or pthread_create()'s error.
int StartOwnThread(pthread_t& thread, Scheduling scheduling, void* (*body)(void*), void* argument);

}  // namespace ioas

#endif  // IOAS_BASE_OWN_THREAD_H_
