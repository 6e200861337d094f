// The node that the working directory is, where it is one, so that relative paths find the view.
#ifndef COMPAT_PRELOAD_PATHS_WORKING_DIRECTORY_H_
#define COMPAT_PRELOAD_PATHS_WORKING_DIRECTORY_H_

#include "compat/preload/paths/descriptor_nodes.h"

namespace compat::preload {

// The node of the working directory, or kNoNode. Asks the kernel after the program has changed
// directories, and remembers the answer. `is_placeholder` is as for descriptors.
RememberedNode WorkingDirectory();

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_WORKING_DIRECTORY_H_
