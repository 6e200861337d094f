#include "tools/cli/iommu_node.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/cli/node_permissions.h"

namespace tools::cli {

IommuNode TryIommuNode(const std::string& root) {
  const int fd = open((root + kIommuNode).c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    close(fd);
    return {.opens = true, .finding = "opens", .remedy = ""};
  }
  const std::string why = std::strerror(errno);
  switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return {.opens = false,
              .finding = why + ": the kernel has no iommufd, or its module is not loaded",
              .remedy = "modprobe iommufd, or a kernel with CONFIG_IOMMUFD"};
    case EACCES:
    case EPERM:
      return {.opens = false,
              .finding = why + ": this user may not use it",
              .remedy = "run as root, or let a group of this user's have it: " +
                        ShareNodeCommand(kIommuNode)};
    default:
      return {.opens = false, .finding = why, .remedy = "see the kernel's messages: dmesg"};
  }
}

}  // namespace tools::cli
