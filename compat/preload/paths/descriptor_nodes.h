// Which descriptors stand for nodes of the view.
//
// A table from descriptor to node, of atomics alone: readable from signal handlers, right in a
// forked child, nothing to lock. Descriptors can be closed where no interposed function sees it
// (fclose, a raw system call), so each entry carries a fingerprint of the file; an entry that does
// not match the descriptor any more is dropped.
#ifndef COMPAT_PRELOAD_PATHS_DESCRIPTOR_NODES_H_
#define COMPAT_PRELOAD_PATHS_DESCRIPTOR_NODES_H_

#include "compat/preload/paths/hooks.h"
#include "compat/vfs/view.h"

namespace compat::preload {

struct RememberedNode {
  vfs::NodeId node = vfs::kNoNode;
  // Whether the descriptor is of some other file, for want of a real one at the node's path. Then
  // it is the view alone that can say what the node is like.
  bool is_placeholder = false;
};

// Remembers that `fd` stands for a node. Returns false if its number is too high to be remembered.
bool RememberDescriptor(int fd, RememberedNode node);

// The node of `fd`, or kNoNode.
RememberedNode NodeOfDescriptor(int fd);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_DESCRIPTOR_NODES_H_
