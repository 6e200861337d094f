// The program's memory, which is also this library's: read and written without ever crashing.
#ifndef COMPAT_PRELOAD_OWN_MEMORY_H_
#define COMPAT_PRELOAD_OWN_MEMORY_H_

#include <cstdint>

#include "compat/decode/caller_memory.h"

namespace compat::preload {

// Copies with process_vm_readv and process_vm_writev on the process itself, which answer EFAULT
// where a store would be a signal. What lies on the calling thread's own stack needs no system
// call: that is where programs keep the structures of their calls. Made on that stack, by the
// thread that uses it.
class OwnMemory final : public decode::CallerMemory {
 public:
  OwnMemory() : OwnMemory(StackAboveThis()) {}

 private:
  struct Range {
    uint64_t first;
    uint64_t end;
  };

  explicit OwnMemory(const Range& stack) : CallerMemory(stack.first, stack.end) {}
  // From here to the end of the thread's stack. Empty on a stack that the program made for itself
  // (a coroutine, a signal stack).
  static Range StackAboveThis() {
    if (!bounds.known) [[unlikely]]
      bounds = FindBounds();
    const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    if (here < bounds.first || here >= bounds.end) return {0, 0};
    return {here, bounds.end};
  }

  // The calling thread's own stack: [first, end). Empty if it is not known. Initial exec: found
  // without a call.
  struct StackBounds {
    uint64_t first = 0;
    uint64_t end = 0;
    bool known = false;
  };
  static StackBounds FindBounds();
  static __thread StackBounds bounds __attribute__((tls_model("initial-exec")));

  ioas::Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) override;
  ioas::Status WriteCarefully(uint64_t address, std::span<const std::byte> bytes) override;
};

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_OWN_MEMORY_H_
