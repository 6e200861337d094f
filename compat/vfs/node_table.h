// The nodes of the view as a table: one row for each pattern of a path.
#ifndef COMPAT_VFS_NODE_TABLE_H_
#define COMPAT_VFS_NODE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "compat/vfs/attributes.h"

namespace compat::vfs {

enum class NodeKind : uint8_t {
  kNone,
  kDirectory,
  kFile,       // a regular file that can only be read
  kLink,       // a symbolic link
  kContainer,  // /dev/vfio/vfio
  kGroup,      // /dev/vfio/N
  kIommufd,    // /dev/iommu
  kCdev,       // /dev/vfio/devices/vfioN
};

// What one component of a pattern stands for.
enum class Placeholder : uint8_t {
  kNone,    // itself
  kBus,     // "{bus}": a root bus with an emulated device on it, "pci0000:00"
  kGroup,   // "{group}": a group's number, "7"; of real ones, of those that are not noiommu
  kDevice,  // "{device}": the address of an emulated device, "0000:00:05.0"
  kCdev,    // "{cdev}": the name of its cdev, "vfio0": counted as the host counts devices
  // Of real groups:
  kNoiommu,       // "{noiommu}": the node of a group without an IOMMU, "noiommu-7"
  kMadeUp,        // "{made-up}": the number of a group that is made up for a mediated device
  kMediated,      // "{mdev}": that device's UUID
  kMediatedPath,  // "{path}": where it is below /sys/devices: several components
  kUp,            // "{up}", in a link's target only: as many times "../" as that has components
};

// Whether a directory also holds what the real one of the same path holds, and a file gives way to
// a real one.
enum class Merging : uint8_t { kOpaque, kMerged };

// Which devices a node is there for.
enum class Presence : uint8_t {
  kEmulated,
  kReal,
  kMediated,  // real ones, of which one at least has a group that is made up
  kBoth,      // emulated and real ones
};

struct Row {
  std::string_view pattern;  // absolute, without a slash at its end
  NodeKind kind = NodeKind::kNone;
  Merging merging = Merging::kOpaque;
  Presence presence = Presence::kEmulated;
  std::string_view text = {};  // a link's target (a pattern too), or a file's whole content
  ContentWriter write_content = nullptr;  // a file's content where it depends on the device
  // Derived from the pattern:
  uint8_t parent = 0;                            // the row of its directory; the root's is the root
  std::string_view name = {};                    // the last component
  Placeholder placeholder = Placeholder::kNone;  // what `name` stands for
  Placeholder scope = Placeholder::kNone;        // the last placeholder of the whole pattern
};

// How patterns spell placeholders.
inline constexpr struct {
  std::string_view text;
  Placeholder placeholder;
} kPlaceholders[] = {{"{bus}", Placeholder::kBus},
                     {"{group}", Placeholder::kGroup},
                     {"{device}", Placeholder::kDevice},
                     {"{cdev}", Placeholder::kCdev},
                     {"{noiommu}", Placeholder::kNoiommu},
                     {"{made-up}", Placeholder::kMadeUp},
                     {"{mdev}", Placeholder::kMediated},
                     {"{path}", Placeholder::kMediatedPath},
                     {"{up}", Placeholder::kUp}};

// All rows; the first is the root directory.
std::span<const Row> Rows();

}  // namespace compat::vfs

#endif  // COMPAT_VFS_NODE_TABLE_H_
