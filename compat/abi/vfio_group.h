// The structure and flags of a group's calls. Source: include/uapi/linux/vfio.h.
#ifndef COMPAT_ABI_VFIO_GROUP_H_
#define COMPAT_ABI_VFIO_GROUP_H_

#include <cstdint>

namespace compat::abi {

// struct vfio_group_status.
struct GroupStatus {
  uint32_t argsz;
  uint32_t flags;  // out: kGroupFlags...
};
inline constexpr uint32_t kGroupFlagsViable = 1u << 0;
inline constexpr uint32_t kGroupFlagsContainerSet = 1u << 1;

}  // namespace compat::abi

#endif  // COMPAT_ABI_VFIO_GROUP_H_
