#include "ioas/base/own_thread.h"

#include <sched.h>

#include <cstddef>

#include "ioas/base/signals.h"

namespace ioas {
namespace {

constexpr size_t kStackSize = 256 * 1024;

}  // namespace

int StartOwnThread(pthread_t& thread, Scheduling scheduling, void* (*body)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackSize);
  if (scheduling == Scheduling::kOrdinary) {
    const sched_param ordinary = {};
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
    pthread_attr_setschedparam(&attributes, &ordinary);
  }
  // The thread inherits the mask.
  const SignalsBlocked blocked;
  const int failure = pthread_create(&thread, &attributes, body, argument);
  pthread_attr_destroy(&attributes);
  return failure;
}

}  // namespace ioas
