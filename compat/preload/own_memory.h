// The program's memory, which is also this library's: read and written without ever crashing.
#ifndef COMPAT_PRELOAD_OWN_MEMORY_H_
#define COMPAT_PRELOAD_OWN_MEMORY_H_

#include "compat/decode/caller_memory.h"

namespace compat::preload {

// Copies with process_vm_readv and process_vm_writev on the process itself, which answer EFAULT
// where a store would be a signal. What lies on the calling thread's own stack needs no system
// call: that is where programs keep the structures of their calls.
class OwnMemory final : public decode::CallerMemory {
 public:
  ioas::Status Read(uint64_t address, std::span<std::byte> bytes) override;
  ioas::Status Write(uint64_t address, std::span<const std::byte> bytes) override;
};

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_OWN_MEMORY_H_
