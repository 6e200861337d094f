// Groups that an error or an operator froze: the kernel blocks the DMA of devices that are attached
// to nothing.
#include "compat/abi/vfio_numbers.h"
#include "compat/kernel/kernel_platform.h"
#include "ioas/kernel/cdev.h"
#include "ioas/kernel/dirty_tracking.h"

namespace compat::kernel {

ioas::GroupErrors& KernelPlatform::ErrorsOf(uint32_t group) {
  return host_->arena().Get(host_->state().kernel)->errors[group];
}

ioas::Status KernelPlatform::SetBlocked(uint32_t device, bool blocked, GroupContents& contents,
                                        vfio::ContainerState& container) {
  vfio::KernelDevice& state = detail(device);
  if ((state.is_blocked != 0) == blocked) return {};
  const ioas::kernel::Cdev cdev(calls_, contents.BoundDescriptor(device));
  ioas::Status done;
  if (blocked) {
    done = cdev.Detach();
  } else {
    const int iommufd = contents.BoundDescriptor(kContainerEntry);
    const ioas::Result<uint32_t> attached =
        TrackingOf(iommufd, container).Attach(cdev, state.bound_as);
    if (!attached.ok()) done = attached.error();
  }
  if (done.ok()) state.is_blocked = blocked ? 1 : 0;
  return done;
}

ioas::Status KernelPlatform::FollowErrors(uint32_t group) {
  const vfio::GroupState& state = host_->state().groups[group];
  // Devices that are bound to no container's iommufd do no DMA.
  if (!state.container) return {};
  vfio::ContainerState& container = *host_->arena().Get(state.container);
  if (container.type == decode::ContainerType::kNone) return {};
  GroupContents contents(calls_);
  if (!contents.Read(host_->parts().descriptors->DescriptorOf(state.slot)).ok()) {
    return ioas::Error{EIO, "this process does not have the group's descriptor"};
  }
  const bool blocked = ErrorsOf(group).has(ioas::kDmaBlocked);
  for (uint32_t i = 0; i < contents.bound_count(); ++i) {
    if (contents.bound_device(i) == kContainerEntry) continue;
    if (SetBlocked(contents.bound_device(i), blocked, contents, container).ok()) continue;
    while (i-- > 0) {
      if (contents.bound_device(i) == kContainerEntry) continue;
      (void)SetBlocked(contents.bound_device(i), !blocked, contents, container);
    }
    return ioas::Error{EIO, "the kernel does not detach or attach a device of the group"};
  }
  return {};
}

ioas::Status KernelPlatform::ResetGroup(uint32_t group) {
  GroupContents contents(calls_);
  const uint32_t slot = host_->state().groups[group].slot;
  if (!contents.Read(host_->parts().descriptors->DescriptorOf(slot)).ok()) {
    return ioas::Error{EIO, "this process does not have the group's descriptor"};
  }
  for (uint32_t i = 0; i < contents.bound_count(); ++i) {
    if (contents.bound_device(i) == kContainerEntry) continue;
    if (calls_(SYS_ioctl, contents.bound_descriptor(i), abi::kDeviceReset, 0L) < 0) {
      return ioas::Error{EIO, "a device of the group cannot be reset"};
    }
  }
  return {};
}

}  // namespace compat::kernel
