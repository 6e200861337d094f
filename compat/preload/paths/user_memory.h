// Touching the program's memory without trusting its pointers.
//
// The kernel answers a bad pointer with EFAULT, and so must functions that look at a path before
// the kernel does. Where a function can let the kernel see the path first, that costs nothing (see
// routed_call.h); elsewhere one cheap system call finds out.
#ifndef COMPAT_PRELOAD_PATHS_USER_MEMORY_H_
#define COMPAT_PRELOAD_PATHS_USER_MEMORY_H_

#include <cstddef>
#include <span>

namespace compat::preload {

// How much of a path IsPathReadable() vouches for.
inline constexpr size_t kReadablePrefix = 8;

// Whether the first kReadablePrefix bytes at `path`, or those up to its end if it is shorter, can
// be read. One system call (0.2 us), rarely two; none for null.
bool IsPathReadable(const char* path);

// Copies the string at `path` into `out` with its terminating zero. Returns its length, -EFAULT, or
// -ENAMETOOLONG if it does not fit.
long CopyPath(const char* path, std::span<char> out);

// Copies `size` bytes from `from` to the program's memory at `to`. Returns 0 or -EFAULT.
int CopyOut(void* to, const void* from, size_t size);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_USER_MEMORY_H_
