// The memory of the program that makes a call, which may be anything: unmapped, read-only, gone.
#ifndef COMPAT_DECODE_CALLER_MEMORY_H_
#define COMPAT_DECODE_CALLER_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "ioas/base/result.h"

namespace compat::decode {

class CallerMemory {
 public:
  // Copies bytes.size() bytes from `address` of the caller into `bytes`. EFAULT if any of them
  // cannot be read; then the contents of `bytes` are undefined. Never a crash.
  ioas::Status Read(uint64_t address, std::span<std::byte> bytes) {
    if (!IsReachable(address, bytes.size())) [[unlikely]]
      return ReadCarefully(address, bytes);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    std::memcpy(bytes.data(), reinterpret_cast<const void*>(address), bytes.size());
    return {};
  }

  // Copies `bytes` to `address` of the caller. EFAULT if any byte cannot be written; bytes before
  // that one may have been.
  ioas::Status Write(uint64_t address, std::span<const std::byte> bytes) {
    if (!IsReachable(address, bytes.size())) [[unlikely]]
      return WriteCarefully(address, bytes);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    std::memcpy(reinterpret_cast<void*>(address), bytes.data(), bytes.size());
    return {};
  }

 protected:
  // [first, end) is memory that the caller and this code share, and that is there as long as this
  // object is: it is copied without asking anybody. Mostly it holds the structures of calls.
  explicit CallerMemory(uint64_t first = 0, uint64_t end = 0) : first_(first), end_(end) {}
  // Never destroyed through this interface: so no virtual destructor, and no operator delete.
  ~CallerMemory() = default;

  // Read and Write of anything else.
  virtual ioas::Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) = 0;
  virtual ioas::Status WriteCarefully(uint64_t address, std::span<const std::byte> bytes) = 0;

 private:
  bool IsReachable(uint64_t address, size_t size) const {
    return address >= first_ && address < end_ && size <= end_ - address;
  }

  uint64_t first_;
  uint64_t end_;
};

}  // namespace compat::decode

#endif  // COMPAT_DECODE_CALLER_MEMORY_H_
