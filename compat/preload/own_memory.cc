#include "compat/preload/own_memory.h"

#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "ioas/base/signals.h"
#include "ioas/base/system_call.h"

// Where the stack of the initial thread ends; ld.so sets it.
extern "C" void* __libc_stack_end __attribute__((weak));

namespace compat::preload {
namespace {

using ioas::SystemCall;

// The kernel keeps at least this much below the initial thread's stack free of other mappings
// (mmap_base in arch/x86/mm/mmap.c keeps 128 MiB).
constexpr uintptr_t kInitialStackReach = uintptr_t{64} << 20;

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

__thread OwnMemory::StackBounds OwnMemory::bounds __attribute__((tls_model("initial-exec")));

OwnMemory::StackBounds OwnMemory::FindBounds() {
  if (SystemCall(SYS_gettid) == SystemCall(SYS_getpid)) {
    if (&__libc_stack_end == nullptr) return {0, 0, true};
    const auto end = reinterpret_cast<uintptr_t>(__libc_stack_end);
    return {end - kInitialStackReach, end, true};
  }
  // It takes locks, for which a handler that comes here too would wait for ever.
  const ioas::SignalsBlocked blocked;
  pthread_attr_t attributes;
  void* first = nullptr;
  size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &first, &size);
    pthread_attr_destroy(&attributes);
  }
  return {reinterpret_cast<uintptr_t>(first), reinterpret_cast<uintptr_t>(first) + size, true};
}

ioas::Status OwnMemory::ReadCarefully(uint64_t address, std::span<std::byte> bytes) {
  if (bytes.empty()) return {};
  return Move(SYS_process_vm_readv, address, bytes.data(), bytes.size());
}

ioas::Status OwnMemory::WriteCarefully(uint64_t address, std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  return Move(SYS_process_vm_writev, address, bytes.data(), bytes.size());
}

}  // namespace compat::preload
