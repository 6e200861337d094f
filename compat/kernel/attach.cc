// Binding devices to a container's iommufd and attaching them to its address space.
#include <fcntl.h>

#include "compat/abi/iommufd.h"
#include "compat/kernel/kernel_platform.h"
#include "compat/kernel/legacy_errors.h"
#include "ioas/kernel/cdev.h"
#include "ioas/kernel/dirty_tracking.h"
#include "ioas/kernel/iommufd.h"

namespace compat::kernel {

ioas::kernel::DirtyTracking KernelPlatform::TrackingOf(int iommufd,
                                                       vfio::ContainerState& container) const {
  return {{calls_, iommufd}, container.ioas, container.tables};
}

ioas::Status KernelPlatform::BindDevice(uint32_t device, const vfio::ContainerFile& container,
                                        GroupContents& contents) {
  // This process may not have the container's own descriptor, or nobody has it any more.
  const int iommu =
      container.descriptor >= 0 ? container.descriptor : contents.BoundDescriptor(kContainerEntry);
  if (iommu < 0) return ioas::Error{EINVAL, "the container that the group is in is not there"};
  const long fd = OpenCdev(detail(device).cdev);
  if (fd < 0) return ioas::Error{static_cast<int>(-fd), "a device's node cannot be opened"};
  ioas::kernel::Cdev cdev(calls_, static_cast<int>(fd));
  ioas::Status ready = HoldIdentity(calls_, static_cast<int>(fd), IdentityOfDevice(device));
  if (!ready.ok()) ready = ioas::Error{EBUSY, ready.error().reason};
  uint32_t device_id = 0;
  if (ready.ok()) {
    const ioas::Result<uint32_t> bound = cdev.Bind(iommu);
    if (bound.ok()) {
      device_id = *bound;
      container.state.registry.device = *bound;
    } else {
      ready = BindError(bound.error());
    }
  }
  if (ready.ok()) {
    const ioas::Result<uint32_t> attached =
        TrackingOf(iommu, container.state).Attach(cdev, device_id);
    if (!attached.ok()) ready = AttachError(attached.error());
  }
  if (ready.ok()) ready = contents.AddBound(device, static_cast<int>(fd));
  if (ready.ok()) {
    detail(device).bound_as = device_id;
    detail(device).is_blocked = 0;
  }
  if (!ready.ok()) calls_(SYS_close, fd);
  return ready;
}

ioas::Status KernelPlatform::AttachGroup(uint32_t group, const vfio::ContainerFile& container) {
  vfio::HostState& state = host_->state();
  const int fd = host_->parts().descriptors->DescriptorOf(state.groups[group].slot);
  if (fd < 0) return ioas::Error{EINVAL, "this process does not have the group's descriptor"};
  sysfs::Group found;
  if (groups_.Read(state.groups[group].number, found)) {
    IOAS_RETURN_IF_ERROR(EnterDevices(group, found));
  }
  GroupContents contents(calls_);
  IOAS_RETURN_IF_ERROR(contents.Read(fd));
  if (contents.bound_count() != 0) {
    // To another container, by a Detach that could not change the file.
    contents.DropAllBound();
    IOAS_RETURN_IF_ERROR(contents.Replace(fd));
  }
  const long kept = calls_(SYS_fcntl, container.descriptor, F_DUPFD_CLOEXEC, 0);
  if (kept < 0) return ioas::Error{ENOMEM, "no descriptor is free for the container"};
  IOAS_RETURN_IF_ERROR(contents.AddBound(kContainerEntry, static_cast<int>(kept)));
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if (state.devices[i].group != group) continue;
    IOAS_RETURN_IF_ERROR(BindDevice(i, container, contents));
  }
  return contents.Replace(fd);
}

void KernelPlatform::DetachGroup(uint32_t group) {
  const int fd = host_->parts().descriptors->DescriptorOf(host_->state().groups[group].slot);
  // Without a descriptor left the kernel has unbound the devices.
  if (fd < 0) return;
  GroupContents contents(calls_);
  if (!contents.Read(fd).ok()) return;
  contents.DropAllBound();
  (void)contents.Replace(fd);
}

ioas::Status KernelPlatform::Attach(uint64_t groups, const vfio::ContainerFile& container) {
  if (container.state.type == decode::ContainerType::kNone) {
    TrackingOf(container.descriptor, container.state).DestroyUnused();
    container.state.tables.has_untracked = 0;
  }
  if (container.state.has_stale_mappings != 0) {
    backend_.Discard(vfio::HandleOf(container), {0, UINT64_MAX});
    container.state.has_stale_mappings = 0;
  }
  for (uint32_t i = 0; i < host_->state().group_count; ++i) {
    if ((groups >> i & 1) == 0) continue;
    const ioas::Status attached = AttachGroup(i, container);
    if (attached.ok()) continue;
    Detach(groups & ((uint64_t{1} << i) - 1), container);
    return OtherError(attached.error());
  }
  return {};
}

void KernelPlatform::Detach(uint64_t groups, const vfio::ContainerFile& container) {
  for (uint32_t i = 0; i < host_->state().group_count; ++i) {
    if ((groups >> i & 1) != 0) DetachGroup(i);
  }
  if (container.descriptor < 0) {
    // Nobody here can empty it now; the next to attach does.
    container.state.has_stale_mappings = 1;
    return;
  }
  TrackingOf(container.descriptor, container.state).DestroyUnused();
}

ioas::Result<ioas::IommuProperties> KernelPlatform::Properties(const vfio::ContainerFile& container,
                                                               uint64_t /*groups*/) {
  ioas::Result<ioas::IommuProperties> read =
      backend_.ReadProperties(vfio::HandleOf(container), apertures_);
  return read.ok() ? read : OtherError(read.error());
}

}  // namespace compat::kernel
