#include "ioas/base/own_thread.h"

#include <sched.h>

#include <cstddef>
#include <cstring>

#include "ioas/base/signals.h"
#include "ioas/base/system_call.h"

namespace ioas {
namespace {

constexpr size_t kStackSize = 256 * 1024;
// What the kernel can be built for.
constexpr size_t kMostProcessors = 8192;

struct Processors {
  alignas(cpu_set_t) std::byte bits[kMostProcessors / 8];
  size_t size;  // of them, in bytes; 0: not known
};

Processors OwnProcessors() {
  Processors own = {};
  const long size = SystemCall(SYS_sched_getaffinity, 0, sizeof(own.bits), own.bits);
  own.size = size > 0 ? static_cast<size_t>(size) : 0;
  return own;
}

// Those that the program was given. Nothing before the library is set up.
Processors given;

__attribute__((constructor)) void NoteProcessors() { given = OwnProcessors(); }

class Attributes {
 public:
  Attributes() {
    pthread_attr_init(&attributes_);
    pthread_attr_setstacksize(&attributes_, kStackSize);
  }
  ~Attributes() { pthread_attr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  // Asks for what the calling thread has not, so that a thread that has all of it makes no system
  // call that a sandbox could refuse. Returns whether there is anything.
  bool AskFor(Scheduling scheduling) {
    const bool is_bound = AskForProcessors();
    const bool is_special = scheduling == Scheduling::kOrdinary && AskForOrdinary();
    return is_bound || is_special;
  }
  int Start(pthread_t& thread, void* (*body)(void*), void* argument) const {
    return pthread_create(&thread, &attributes_, body, argument);
  }

 private:
  bool AskForProcessors() {
    const Processors own = OwnProcessors();
    if (given.size == 0 || std::memcmp(own.bits, given.bits, sizeof(own.bits)) == 0) return false;
    return pthread_attr_setaffinity_np(&attributes_, given.size,
                                       reinterpret_cast<const cpu_set_t*>(given.bits)) == 0;
  }
  bool AskForOrdinary() {
    if (SystemCall(SYS_sched_getscheduler, 0) == SCHED_OTHER) return false;
    const sched_param ordinary = {};
    pthread_attr_setinheritsched(&attributes_, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes_, SCHED_OTHER);
    pthread_attr_setschedparam(&attributes_, &ordinary);
    return true;
  }

  pthread_attr_t attributes_;
};

}  // namespace

int StartOwnThread(pthread_t& thread, Scheduling scheduling, void* (*body)(void*), void* argument) {
  // The thread inherits the mask.
  const SignalsBlocked blocked;
  Attributes wanted;
  const bool is_other = wanted.AskFor(scheduling);
  const int failure = wanted.Start(thread, body, argument);
  // Refused, or the processors are no longer the program's.
  if (!is_other || (failure != EPERM && failure != EINVAL)) return failure;
  return Attributes().Start(thread, body, argument);
}

}  // namespace ioas
