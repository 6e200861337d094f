// Calls on a group's descriptor (drivers/vfio/group.c).
#include "compat/abi/vfio_group.h"
#include "compat/vfio/calls.h"
#include "compat/vfio/host.h"
#include "ioas/base/system_call.h"

namespace compat::vfio {
namespace {

using ioas::ArenaRef;

ioas::Result<long> GetStatus(Host& host, uint32_t index, const decode::DecodedCall& call) {
  ioas::Result<abi::GroupStatus> status = call.CopyIn<abi::GroupStatus>();
  if (!status.ok()) return status.error();
  {
    Host::Lock lock(host);
    status->flags = 0;
    if (host.state().groups[index].container) {
      status->flags = abi::kGroupFlagsViable | abi::kGroupFlagsContainerSet;
    } else if (host.platform().IsViable(index)) {
      status->flags = abi::kGroupFlagsViable;
    }
  }
  IOAS_RETURN_IF_ERROR(call.CopyOut(*status));
  return 0L;
}

ioas::Result<long> SetContainer(Host& host, uint32_t index, const decode::DecodedCall& call) {
  const ioas::Result<int32_t> fd = call.CopyIn<int32_t>();
  if (!fd.ok()) return fd.error();
  const ioas::Result<uint32_t> slot = host.parts().descriptors->SlotOf(*fd);
  if (!slot.ok()) return slot.error();

  Host::Lock lock(host);
  if (host.state().groups[index].container) {
    return ioas::Error{EINVAL, "the group has a container already"};
  }
  const FileSlot file = host.files().slot(*slot);
  if (*slot == 0 || file.in_use == 0 || file.kind != decode::DescriptorKind::kContainer) {
    return ioas::Error{EBADFD, "the descriptor is no container's"};
  }
  // The container cannot own the DMA of a device that another driver has
  // (iommu_group_claim_dma_owner).
  if (!host.platform().IsViable(index)) {
    return ioas::Error{EPERM, "a device of the group has another driver"};
  }
  ContainerState& container = *host.arena().Get(ArenaRef<ContainerState>{file.object});
  if (container.is_revoked != 0) return kIsRevoked;
  IOAS_RETURN_IF_ERROR(host.AttachGroup(index, {container, *fd}));
  return 0L;
}

ioas::Result<long> UnsetContainer(Host& host, uint32_t index) {
  Host::Lock lock(host);
  GroupState& group = host.state().groups[index];
  if (!group.container) return ioas::Error{EINVAL, "the group has no container"};
  if (group.device_opens != 0) host.EndLostFiles();
  if (group.device_opens != 0) return ioas::Error{EBUSY, "devices of the group are open"};
  host.DetachGroup(index);
  return 0L;
}

ioas::Result<long> GetDeviceFd(Host& host, uint32_t index, const decode::DecodedCall& call) {
  char buffer[4096];
  const auto name = decode::CopyInString(*call.memory, call.argument, buffer);
  if (!name.ok()) return name.error();

  Host::Lock lock(host);
  const ioas::Result<uint32_t> device = host.platform().FindDevice(index, *name);
  if (!device.ok()) return device.error();
  const GroupState& group = host.state().groups[index];
  if (!group.container || host.arena().Get(group.container)->type == decode::ContainerType::kNone) {
    return ioas::Error{EINVAL, "the group has no container with an IOMMU"};
  }
  // So that the first opener after a process that was killed is one.
  if (host.state().devices[*device].opens != 0) host.EndLostFiles();
  const bool is_first = host.state().devices[*device].opens == 0;
  const ioas::Result<NewFile> file = host.platform().OpenDeviceFile(
      *device, host.WithDescriptor(*host.arena().Get(group.container)));
  if (!file.ok()) return file.error();
  if (is_first) host.Thaw(index);
  // The platform may have attached the device.
  if (const ioas::Status held = host.FollowHold(index); !held.ok()) {
    ioas::SystemCall(SYS_close, file->descriptor);
    host.EndLostFiles();
    return held.error();
  }
  host.parts().descriptors->OnNew(file->descriptor, file->slot);
  return long{file->descriptor};
}

}  // namespace

ioas::Result<long> GroupIoctl(Host& host, uint32_t group, const CallArguments& arguments) {
  const auto call = decode::Decode(decode::DescriptorKind::kGroup, decode::ContainerType::kNone,
                                   arguments.request, arguments.argument, arguments.memory);
  if (!call.ok()) return call.error();
  switch (call->row->call) {
    case decode::Call::kGroupGetStatus:
      return GetStatus(host, group, *call);
    case decode::Call::kGroupSetContainer:
      return SetContainer(host, group, *call);
    case decode::Call::kGroupUnsetContainer:
      return UnsetContainer(host, group);
    case decode::Call::kGroupGetDeviceFd:
      return GetDeviceFd(host, group, *call);
    default:
      return ioas::Error{ENOTTY, "groups have no such call"};
  }
}

}  // namespace compat::vfio
