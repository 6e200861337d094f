// What the functions that close and duplicate descriptors have to tell the file system view.
#ifndef COMPAT_PRELOAD_PATHS_HOOKS_H_
#define COMPAT_PRELOAD_PATHS_HOOKS_H_

#include <atomic>
#include <cstdint>

namespace compat::preload {

// How many descriptors the view remembers a node for: directories that emulated devices are below
// of, and files of the view. Read it through AnyDescriptorsRemembered().
extern std::atomic<uint32_t> remembered_descriptors;

// Whether any descriptor is remembered; one load.
inline bool AnyDescriptorsRemembered() {
  return __builtin_expect(remembered_descriptors.load(std::memory_order_relaxed) != 0, 0);
}

// The slow parts of the functions below.
void ForgetDescriptor(int fd);
void CopyRememberedDescriptor(int from, int to);

// `fd` is about to be closed, or has been. Any number is fine. A call that is missed (fclose() and
// raw system calls close descriptors, too) is harmless: a descriptor that turns out to be another
// file is forgotten when it is used.
inline void OnDescriptorClosed(int fd) {
  if (AnyDescriptorsRemembered()) ForgetDescriptor(fd);
}

// `to` has become a duplicate of `from`; what it was before is forgotten.
inline void OnDescriptorDuplicated(int from, int to) {
  if (AnyDescriptorsRemembered()) CopyRememberedDescriptor(from, to);
}

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_HOOKS_H_
