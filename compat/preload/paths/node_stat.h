// What the stat family says of nodes and of the library's descriptors.
#ifndef COMPAT_PRELOAD_PATHS_NODE_STAT_H_
#define COMPAT_PRELOAD_PATHS_NODE_STAT_H_

#include <sys/stat.h>

#include "compat/vfs/view.h"

namespace compat::preload {

// Describes a node. Times and file system are those of /dev or /sys.
struct stat StatOfNode(vfs::NodeId id);

// If `fd` shows itself as something else than what it is, describes that in `*status` and returns
// true; `*status` is what the kernel says of `fd` before. AT_FDCWD is the working directory. Leaves
// errno alone.
bool StatOfDescriptor(int fd, struct stat* status);

// The same description in the form of statx(), with the basic fields alone.
struct statx ToStatx(const struct stat& status);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_NODE_STAT_H_
