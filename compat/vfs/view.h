// The view: which nodes emulated devices, or real groups, add to the file system, and what is in
// them.
//
// Pure: nothing here looks at the real file system. A node is known by a number that packs its row
// of the table and a device or a real group's number, so that a path need not be kept to remember a
// node.
#ifndef COMPAT_VFS_VIEW_H_
#define COMPAT_VFS_VIEW_H_

#include <climits>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "compat/vfs/inventory.h"
#include "compat/vfs/node_table.h"

namespace compat::vfs {

class Text;

// A node's number, below 1 << kNodeIdBits; kNoNode is none.
using NodeId = uint32_t;
inline constexpr NodeId kNoNode = 0;
inline constexpr uint32_t kNodeIdBits = 28;

// The major number of the group nodes; the kernel takes it from the dynamic range, from 511 down.
inline constexpr uint32_t kGroupMajor = 511;

// More than any node's path or link target needs, with its terminating zero.
inline constexpr size_t kMaxNodePath = 256;

// What stat() tells of a node.
struct Node {
  NodeId id = kNoNode;
  NodeKind kind = NodeKind::kNone;
  bool merged = false;  // as View::IsMerged() says
  uint32_t mode = 0;    // with the file type, as in st_mode
  uint32_t major = 0;   // of a device node
  uint32_t minor = 0;   // of a device node
  uint32_t links = 1;   // as in st_nlink; of a directory, without the real one's subdirectories
  uint64_t size = 0;    // as sysfs reports it: a page for an attribute, the space's for `config`
  uint64_t inode = 0;   // never 0 and the same in every process
  uint32_t group = 0;   // of a kGroup
  uint32_t device = 0;  // of a kCdev: the device's index
  bool in_dev = false;  // below /dev, and not below /sys
};

// One name in a directory.
struct Entry {
  char name[NAME_MAX + 1];
  NodeId id;
  NodeKind kind;
  uint64_t inode;
};

class View {
 public:
  // `inventory` must outlive the view, and have fewer than 1 << 20 devices.
  explicit View(const Inventory& inventory)
      : inventory_(inventory), real_(inventory.real_groups()) {}

  // The root directory.
  static NodeId Root();

  NodeKind Kind(NodeId id) const;
  // Whether the node is a directory that also holds what the real one of its path holds, or a file
  // that is there only if no real one is.
  bool IsMerged(NodeId id) const;
  Node Describe(NodeId id) const;

  // The node named `name` in directory `id`, or kNoNode. Knows neither "." nor "..".
  NodeId Child(NodeId id, std::string_view name) const;
  // The node further down in directory `id` to which the first `*size` bytes of `path` lead,
  // through real directories that are not of the view; or kNoNode.
  NodeId Descendant(NodeId id, std::string_view path, size_t* size) const;
  // Whether Descendant() finds the node, so that the directory that holds it is not of the view.
  bool IsDescendant(NodeId id) const;
  // The directory that holds `id`, or that of the view above it; the root's is itself.
  NodeId Parent(NodeId id) const;

  // Gives the entry of directory `id` at `*cursor` (0 for the first one), without "." and "..", and
  // moves the cursor past it. Returns false if there is none left. What only Descendant() finds is
  // not listed.
  bool List(NodeId id, uint64_t* cursor, Entry* entry) const;

  // Each writes a C string into `out`, cut off if it does not fit, and returns its length: the
  // node's absolute path without any link in it; where link `id` points to.
  size_t Path(NodeId id, std::span<char> out) const;
  size_t LinkTarget(NodeId id, std::span<char> out) const;

  // Writes the path of the real file whose owner and permissions a container's or a real group's
  // node has, as a C string (PATH_MAX is always enough). Returns false if it has its own.
  bool RealFile(NodeId id, std::span<char> out) const;

  // Writes the content of file `id` into `out` (kMaxContent is always enough); returns its size.
  size_t Content(NodeId id, std::span<char> out) const;

 private:
  bool IsPresent(const Row& row) const;
  NodeId ChildOfRow(NodeId id, size_t row, std::string_view name) const;
  NodeId RealChild(NodeId id, size_t row, std::string_view name) const;
  bool FindReal(Placeholder placeholder, std::string_view name, uint32_t* number) const;
  bool SharesKey(Placeholder scope, size_t device, size_t other) const;
  size_t FirstWithKey(Placeholder scope, size_t device) const;
  void AppendName(const Row& row, size_t device, Text* text) const;
  void AppendFor(Placeholder placeholder, size_t device, Text* text) const;
  void AppendForReal(Placeholder placeholder, uint32_t number, Text* text) const;
  void AppendExpanded(std::string_view pattern, size_t device, Text* text) const;
  size_t NextDevice(NodeId id, size_t row, size_t first_device) const;
  size_t NextReal(NodeId id, Placeholder placeholder, size_t first) const;
  bool ListRow(NodeId id, size_t row, size_t first_device, uint64_t* cursor, Entry* entry) const;
  uint32_t CountLinks(NodeId id) const;

  const Inventory& inventory_;
  const RealGroups* const real_;  // null where devices are emulated
};

}  // namespace compat::vfs

#endif  // COMPAT_VFS_VIEW_H_
