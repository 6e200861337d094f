// Where a path of the program leads: past the view, into it, or through it.
#ifndef COMPAT_PRELOAD_PATHS_ROUTE_H_
#define COMPAT_PRELOAD_PATHS_ROUTE_H_

#include <fcntl.h>

#include "compat/preload/paths/descriptor_nodes.h"
#include "compat/preload/paths/working_directory.h"
#include "compat/vfs/lookup.h"

namespace compat::preload {

// Whether an absolute path may lead into the view, without its leading slash: it names /dev or
// something below it that begins with "v" or "i", /sys or something below it, or is spelled oddly.
// Looks at no more bytes than kReadablePrefix in all.
inline bool AbsolutePathMayMatter(const char* path) {
  switch (path[0]) {
    case 'd':
      if (path[1] != 'e' || path[2] != 'v') return false;
      if (path[3] != '/') return path[3] == '\0';
      return path[4] == 'v' || path[4] == 'i' || path[4] == '.' || path[4] == '/' ||
             path[4] == '\0';
    case 's':
      return path[1] == 'y' && path[2] == 's' && (path[3] == '/' || path[3] == '\0');
    default:
      return path[0] == '/' || path[0] == '.' || path[0] == '\0';
  }
}

// Whether `path`, taken from `dirfd` as openat() does, may lead into the view. To be asked only
// while Configured(), and with a path whose first bytes can be read.
inline bool PathMayMatter(int dirfd, const char* path) {
  if (path[0] == '/') return AbsolutePathMayMatter(path + 1);
  if (dirfd == AT_FDCWD) return WorkingDirectory().node != vfs::kNoNode;
  return NodeOfDescriptor(dirfd).node != vfs::kNoNode;
}

enum class Destination {
  kUnchanged,  // not of the view: the next function gets what the program gave
  kElsewhere,  // not in the view, but behind it: the next function gets the resolution's path
  kNode,       // a node of the view
  kError,      // the view knows that there is no such thing: the resolution's errno
};

// Resolves `path` from `dirfd`. Follows a link at its end if `follow` says so. A path that cannot
// be read or is too long is kUnchanged, for the kernel to say so. Changes errno.
Destination Route(int dirfd, const char* path, bool follow, vfs::Resolution* resolution);

// The view. Only when EmulatedDevices() is not null, as it is whenever there is a node.
vfs::View CurrentView();

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_ROUTE_H_
