// The links of /proc/PID/fd for descriptors that show themselves as something else.
#ifndef COMPAT_PRELOAD_PATHS_DESCRIPTOR_LINK_H_
#define COMPAT_PRELOAD_PATHS_DESCRIPTOR_LINK_H_

#include <cstddef>
#include <span>

namespace compat::preload {

// If `path`, taken from `dirfd`, is this process's link for a descriptor of the library or of a
// node of the view, writes what it is to read as a C string into `out` and returns its length; else
// 0. `path` must be readable. Knows the directory however it is spelled: /proc/self/fd,
// /proc/PID/fd, /dev/fd, relative to a descriptor of it. Changes errno.
size_t DescriptorLink(int dirfd, const char* path, std::span<char> out);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_DESCRIPTOR_LINK_H_
