// The memory of the program that makes a call, which may be anything: unmapped, read-only, gone.
#ifndef COMPAT_DECODE_CALLER_MEMORY_H_
#define COMPAT_DECODE_CALLER_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ioas/base/result.h"

namespace compat::decode {

class CallerMemory {
 public:
  // Copies bytes.size() bytes from `address` of the caller into `bytes`. EFAULT if any of them
  // cannot be read; then the contents of `bytes` are undefined. Never a crash.
  virtual ioas::Status Read(uint64_t address, std::span<std::byte> bytes) = 0;

  // Copies `bytes` to `address` of the caller. EFAULT if any byte cannot be written; bytes before
  // that one may have been.
  virtual ioas::Status Write(uint64_t address, std::span<const std::byte> bytes) = 0;

 protected:
  // Never destroyed through this interface: so no virtual destructor, and no operator delete.
  ~CallerMemory() = default;
};

}  // namespace compat::decode

#endif  // COMPAT_DECODE_CALLER_MEMORY_H_
