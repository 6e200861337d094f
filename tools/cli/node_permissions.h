// Whose a device node is, and whether this user may use it.
#ifndef TOOLS_CLI_NODE_PERMISSIONS_H_
#define TOOLS_CLI_NODE_PERMISSIONS_H_

#include <string>

namespace tools::cli {

struct NodePermissions {
  std::string path;  // without the root; empty: there is no node to look at
  bool exists = false;
  bool is_usable = false;  // this user may read and write it
  std::string mode;        // "0600"
  std::string owner;       // a name, or a number
  std::string group;
};

// Looks at the node `path` below `root`.
NodePermissions ReadNodePermissions(const std::string& root, const std::string& path);

// "mode 0600, root:root", or "does not exist".
std::string ToString(const NodePermissions& node);

// The commands that let a group of users have the node at `path`.
std::string ShareNodeCommand(const std::string& path);

}  // namespace tools::cli

#endif  // TOOLS_CLI_NODE_PERMISSIONS_H_
