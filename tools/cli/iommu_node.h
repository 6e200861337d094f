// /dev/iommu, which the kernel backend stands on.
#ifndef TOOLS_CLI_IOMMU_NODE_H_
#define TOOLS_CLI_IOMMU_NODE_H_

#include <string>

namespace tools::cli {

inline constexpr char kIommuNode[] = "/dev/iommu";

// What came of an attempt to open it.
struct IommuNode {
  bool opens = false;
  std::string finding;  // "opens", or why it does not, for people
  std::string remedy;   // what would help; empty if it opens
};

// Opens the node, and closes it again. `root` stands in front of /dev: empty but in tests.
IommuNode TryIommuNode(const std::string& root);

}  // namespace tools::cli

#endif  // TOOLS_CLI_IOMMU_NODE_H_
