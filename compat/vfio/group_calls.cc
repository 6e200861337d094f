// Calls on a group's descriptor (drivers/vfio/group.c).
#include "compat/abi/vfio_group.h"
#include "compat/vfio/calls.h"
#include "compat/vfio/host.h"
#include "ioas/base/system_call.h"

namespace compat::vfio {
namespace {

using ioas::ArenaRef;

// Whether it is still this file that has the group open. Whoever looks for lost files asks again.
bool IsOpen(const Host& host, const GroupFile& file) {
  return host.state().groups[file.group].slot == file.slot;
}

ioas::Result<long> GetStatus(Host& host, uint32_t index, const decode::DecodedCall& call) {
  abi::GroupStatus status;
  IOAS_RETURN_IF_ERROR(call.CopyIn(status));
  {
    Host::Lock lock(host);
    status.flags = 0;
    if (host.state().groups[index].has_iommu()) {
      status.flags = abi::kGroupFlagsViable | abi::kGroupFlagsContainerSet;
    } else if (host.platform().IsViable(index)) {
      status.flags = abi::kGroupFlagsViable;
    }
  }
  IOAS_RETURN_IF_ERROR(call.CopyOut(status));
  return 0L;
}

ioas::Result<long> SetContainer(Host& host, const GroupFile& open,
                                const decode::DecodedCall& call) {
  const uint32_t index = open.group;
  const ioas::Result<int32_t> fd = call.CopyIn<int32_t>();
  if (!fd.ok()) return fd.error();
  const ioas::Result<uint32_t> slot = host.parts().descriptors->SlotOf(*fd);
  if (!slot.ok()) return slot.error();

  Host::Lock lock(host);
  if (!IsOpen(host, open)) return kIsClosed;
  if (host.state().groups[index].has_iommu()) {
    return ioas::Error{EINVAL, "the group has a container already"};
  }
  const FileSlot file = host.files().slot(*slot);
  if (*slot != 0 && file.in_use != 0 && file.kind == decode::DescriptorKind::kIommufd) {
    IOAS_RETURN_IF_ERROR(host.JoinIommufd(index, file.object));
    return 0L;
  }
  if (*slot == 0 || file.in_use == 0 || file.kind != decode::DescriptorKind::kContainer) {
    return ioas::Error{EBADFD, "the descriptor is no container's"};
  }
  // The container cannot own the DMA of a device that another driver has
  // (iommu_group_claim_dma_owner).
  if (!host.platform().IsViable(index)) {
    return ioas::Error{EPERM, "a device of the group has another driver"};
  }
  if (host.ContextOfGroup(index) != 0) {
    return ioas::Error{EPERM, "a device of the group is still bound to an iommufd"};
  }
  ContainerState& container = *host.arena().Get(ArenaRef<ContainerState>{file.object});
  if (container.is_revoked != 0) return kIsRevoked;
  IOAS_RETURN_IF_ERROR(host.AttachGroup(index, {container, *fd}));
  return 0L;
}

ioas::Result<long> UnsetContainer(Host& host, const GroupFile& open) {
  Host::Lock lock(host);
  GroupState& group = host.state().groups[open.group];
  if (group.device_opens != 0) host.EndLostFiles();
  if (!IsOpen(host, open)) return kIsClosed;
  if (!group.has_iommu()) return ioas::Error{EINVAL, "the group has no container"};
  if (!group.container) {
    host.LeaveIommufd(open.group);
    return 0L;
  }
  if (group.device_opens != 0) return ioas::Error{EBUSY, "devices of the group are open"};
  host.DetachGroup(open.group);
  return 0L;
}

bool HasIommu(const Host& host, const GroupState& group) {
  if (!group.container) return group.context != 0;
  return host.arena().Get(group.container)->type != decode::ContainerType::kNone;
}

ioas::Result<NewFile> OpenDeviceFile(Host& host, uint32_t device, const GroupState& group) {
  if (!group.container) return host.platform().OpenDeviceFile(device, nullptr);
  const ContainerFile container = host.WithDescriptor(*host.arena().Get(group.container));
  return host.platform().OpenDeviceFile(device, &container);
}

// What the first opener of a device in group `index` gets done, whose file is open.
ioas::Status PrepareFirst(Host& host, uint32_t index, uint32_t device) {
  host.Thaw(index);
  const GroupState& group = host.state().groups[index];
  return group.container ? ioas::Status()
                         : host.parts().native->BindByGroup(host, device, group.context);
}

ioas::Result<long> GetDeviceFd(Host& host, const GroupFile& open, const decode::DecodedCall& call) {
  const uint32_t index = open.group;
  char buffer[4096];
  const auto name = decode::CopyInString(*call.memory, call.argument, buffer);
  if (!name.ok()) return name.error();

  Host::Lock lock(host);
  const ioas::Result<uint32_t> device = host.platform().FindDevice(index, *name);
  if (!device.ok()) return device.error();
  // So that the first opener after a process that was killed is one.
  if (host.state().devices[*device].opens != 0) host.EndLostFiles();
  if (!IsOpen(host, open)) return kIsClosed;
  const GroupState& group = host.state().groups[index];
  if (!HasIommu(host, group)) {
    return ioas::Error{EINVAL, "the group has no container with an IOMMU"};
  }
  const bool is_first = host.state().devices[*device].opens == 0;
  const ioas::Result<NewFile> file = OpenDeviceFile(host, *device, group);
  if (!file.ok()) return file.error();
  ioas::Status prepared;
  if (is_first) prepared = PrepareFirst(host, index, *device);
  // The platform may have attached the device.
  if (prepared.ok()) prepared = host.FollowHold(index);
  if (!prepared.ok()) {
    ioas::SystemCall(SYS_close, file->descriptor);
    host.EndLostFiles();
    return prepared.error();
  }
  host.parts().descriptors->OnNew(file->descriptor, file->slot);
  return long{file->descriptor};
}

}  // namespace

ioas::Result<long> GroupIoctl(Host& host, const GroupFile& file, const CallArguments& arguments) {
  const auto call = decode::Decode(decode::DescriptorKind::kGroup, decode::ContainerType::kNone,
                                   arguments.request, arguments.argument, arguments.memory);
  if (!call.ok()) return call.error();
  switch (call->row->call) {
    case decode::Call::kGroupGetStatus:
      return GetStatus(host, file.group, *call);
    case decode::Call::kGroupSetContainer:
      return SetContainer(host, file, *call);
    case decode::Call::kGroupUnsetContainer:
      return UnsetContainer(host, file);
    case decode::Call::kGroupGetDeviceFd:
      return GetDeviceFd(host, file, *call);
    default:
      return ioas::Error{ENOTTY, "groups have no such call"};
  }
}

}  // namespace compat::vfio
