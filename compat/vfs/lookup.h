// Walking a path through the view.
#ifndef COMPAT_VFS_LOOKUP_H_
#define COMPAT_VFS_LOOKUP_H_

#include <climits>
#include <string_view>

#include "compat/vfs/view.h"

namespace compat::vfs {

// Where a path leads. Exactly one of three: a node of the view, an errno, or elsewhere.
struct Resolution {
  NodeId node = kNoNode;
  // ENOENT (in a directory that is the view's alone), ENOTDIR, ELOOP, ENAMETOOLONG; or 0.
  int error = 0;
  // For what is elsewhere: the absolute path of it, all links of the view followed. Of a node: its
  // path without links.
  char path[PATH_MAX] = {};
  // Whether a link of the view was followed on the way, so that the kernel, which does not know the
  // link, has to be given `path` in place of the caller's.
  bool followed_link = false;

  bool elsewhere() const { return node == kNoNode && error == 0; }
};

// Resolves `path`, which is relative to directory `base` of the view unless it begins with a slash.
// As path_resolution(7), with ".", "..", repeated slashes and a slash at the end, for as long as
// the way stays within the view; the first name that only the real file system can know ends the
// walk with the rest of the path as it is. A link at the very end is followed if `follow` says so.
void Lookup(const View& view, NodeId base, std::string_view path, bool follow, Resolution* result);

}  // namespace compat::vfs

#endif  // COMPAT_VFS_LOOKUP_H_
