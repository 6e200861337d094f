#include "compat/vfio/hot_reset_groups.h"

#include "compat/abi/vfio_device.h"

namespace compat::vfio {

ioas::Result<uint64_t> CopyInHotResetGroups(const Host& host, const decode::DecodedCall& call,
                                            uint32_t count) {
  int32_t fds[kMaxDevices];
  IOAS_RETURN_IF_ERROR(call.memory->Read(call.argument + sizeof(abi::PciHotReset),
                                         std::as_writable_bytes(std::span(fds, count))));
  uint64_t groups = 0;
  for (const int32_t fd : std::span(fds, count)) {
    const ioas::Result<uint32_t> slot = host.parts().descriptors->SlotOf(fd);
    if (!slot.ok()) return slot.error();
    const FileSlot file = host.files().slot(*slot);
    if (*slot == 0 || file.in_use == 0 || file.kind != decode::DescriptorKind::kGroup) {
      return ioas::Error{EINVAL, "the descriptor is no group's"};
    }
    groups |= uint64_t{1} << file.object;
  }
  return groups;
}

}  // namespace compat::vfio
