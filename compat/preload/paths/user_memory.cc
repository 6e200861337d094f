#include "compat/preload/paths/user_memory.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

// The smallest page there is: steps of it cross no page unseen, whatever the host's page size.
constexpr uintptr_t kPage = 4096;

// Whether the aligned word around `address` can be read. rt_sigprocmask() copies the new mask in
// before it refuses a `how` that it does not know (kernel/signal.c), so nothing changes.
bool IsWordReadable(uintptr_t address) {
  const auto word = reinterpret_cast<const void*>(address & ~uintptr_t{7});
  return ioas::SystemCall(SYS_rt_sigprocmask, -1, word, nullptr, 8) != -EFAULT;
}

size_t BytesToPageEnd(const char* address) {
  return kPage - reinterpret_cast<uintptr_t>(address) % kPage;
}

}  // namespace

bool IsPathReadable(const char* path) {
  const auto address = reinterpret_cast<uintptr_t>(path);
  if (address < kPage || !IsWordReadable(address)) return false;
  const size_t here = BytesToPageEnd(path);
  return here >= kReadablePrefix || std::memchr(path, 0, here) != nullptr ||
         IsWordReadable(address + here);
}

long CopyPath(const char* path, std::span<char> out) {
  size_t size = 0;
  while (size < out.size()) {
    const char* from = path + size;
    if (reinterpret_cast<uintptr_t>(from) < kPage) return -EFAULT;
    if (!IsWordReadable(reinterpret_cast<uintptr_t>(from))) return -EFAULT;
    const size_t step = std::min(BytesToPageEnd(from), out.size() - size);
    const size_t length = strnlen(from, step);
    std::memcpy(out.data() + size, from, length);
    size += length;
    if (length < step) {
      out[size] = '\0';
      return static_cast<long>(size);
    }
  }
  return -ENAMETOOLONG;
}

int CopyOut(void* to, const void* from, size_t size) {
  const iovec source = {const_cast<void*>(from), size};
  const iovec destination = {to, size};
  const long copied = ioas::SystemCall(SYS_process_vm_writev, ioas::SystemCall(SYS_getpid), &source,
                                       1L, &destination, 1L, 0L);
  if (copied == static_cast<long>(size)) return 0;
  if (copied >= 0 || copied == -EFAULT) return -EFAULT;
  // A sandbox that forbids the call: trust the pointer, as libc would.
  std::memcpy(to, from, size);
  return 0;
}

}  // namespace compat::preload
