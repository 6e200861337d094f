// Opening directory streams, whatever the function is called.
#ifndef COMPAT_PRELOAD_PATHS_DIRECTORY_OPEN_H_
#define COMPAT_PRELOAD_PATHS_DIRECTORY_OPEN_H_

#include <dirent.h>

namespace compat::preload {

// As fdopendir(): one of the view's streams where the view has something to say on `fd`, and one of
// libc's elsewhere.
DIR* OpenDescriptorStream(int fd);

// As opendir() with `path` taken from `dirfd`, for a path that may lead into the view.
DIR* OpenPathStream(int dirfd, const char* path);

// Whether OpenPathStream() is to be called for `path`; libc's function will do otherwise.
bool NeedsPathStream(int dirfd, const char* path);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_DIRECTORY_OPEN_H_
