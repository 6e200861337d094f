#include "compat/preload/own_memory.h"

#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "ioas/base/system_call.h"

// Where the stack of the initial thread ends; ld.so sets it.
extern "C" void* __libc_stack_end __attribute__((weak));

namespace compat::preload {
namespace {

using ioas::SystemCall;

// The kernel keeps at least this much below the initial thread's stack free of other mappings
// (mmap_base in arch/x86/mm/mmap.c keeps 128 MiB).
constexpr uintptr_t kInitialStackReach = uintptr_t{64} << 20;

// The calling thread's own stack: [first, end). Empty if it is not known.
struct StackBounds {
  uintptr_t first = 0;
  uintptr_t end = 0;
  bool known = false;
};

[[gnu::noinline]] StackBounds FindBounds() {
  if (SystemCall(SYS_gettid) == SystemCall(SYS_getpid)) {
    if (&__libc_stack_end == nullptr) return {0, 0, true};
    const auto end = reinterpret_cast<uintptr_t>(__libc_stack_end);
    return {end - kInitialStackReach, end, true};
  }
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return {0, 0, true};
  void* first = nullptr;
  size_t size = 0;
  pthread_attr_getstack(&attributes, &first, &size);
  pthread_attr_destroy(&attributes);
  return {reinterpret_cast<uintptr_t>(first), reinterpret_cast<uintptr_t>(first) + size, true};
}

// Whether [address, address + size) is live stack of this thread: between here and the stack's end.
// False on a stack that the program made for itself (a coroutine, a signal stack).
bool IsOnOwnStack(uint64_t address, size_t size) {
  // Initial exec: found without a call.
  static __thread StackBounds bounds __attribute__((tls_model("initial-exec")));
  if (__builtin_expect(!bounds.known, 0)) bounds = FindBounds();
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return here >= bounds.first && here < bounds.end && address >= here && address < bounds.end &&
         size <= bounds.end - address;
}

// One process_vm_readv or process_vm_writev on this process. The kernel copies page by page and
// stops at the first that fails, so anything short is EFAULT.
ioas::Status Move(long number, uint64_t address, const std::byte* bytes, size_t size) {
  const iovec own = {const_cast<std::byte*>(bytes), size};
  const iovec callers = {reinterpret_cast<void*>(address),
                         size};  // NOLINT(performance-no-int-to-ptr)
  const long moved = SystemCall(number, SystemCall(SYS_getpid), &own, 1, &callers, 1, 0);
  if (moved == static_cast<long>(size)) return {};
  return ioas::Error{EFAULT, "the caller's memory is not there or does not permit it"};
}

}  // namespace

ioas::Status OwnMemory::Read(uint64_t address, std::span<std::byte> bytes) {
  if (bytes.empty()) return {};
  if (IsOnOwnStack(address, bytes.size())) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    std::memcpy(bytes.data(), reinterpret_cast<const void*>(address), bytes.size());
    return {};
  }
  return Move(SYS_process_vm_readv, address, bytes.data(), bytes.size());
}

ioas::Status OwnMemory::Write(uint64_t address, std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  if (IsOnOwnStack(address, bytes.size())) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    std::memcpy(reinterpret_cast<void*>(address), bytes.data(), bytes.size());
    return {};
  }
  return Move(SYS_process_vm_writev, address, bytes.data(), bytes.size());
}

}  // namespace compat::preload
