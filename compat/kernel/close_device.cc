// What the last close of a device means: the kernel disables a device with the last descriptor of
// its cdev (vfio_pci_core_disable), but the group's file has one too, and KVM may have.
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/kernel/group_file.h"
#include "compat/kernel/kernel_platform.h"

namespace compat::kernel {
namespace {

// What can be done without closing the cdev: no interrupts, and a reset, with which the device's
// DMA ends. Devices that know neither refuse.
void Disable(ioas::kernel::SystemCalls& calls, int fd) {
  for (uint32_t index = 0; index < abi::kPciNumIrqs; ++index) {
    abi::IrqSet none = {.argsz = sizeof(none),
                        .flags = abi::kIrqSetDataNone | abi::kIrqSetActionTrigger,
                        .index = index,
                        .start = 0,
                        .count = 0};
    calls(SYS_ioctl, fd, abi::kDeviceSetIrqs, &none);
  }
  calls(SYS_ioctl, fd, abi::kDeviceReset, 0L);
}

}  // namespace

void KernelPlatform::CloseDevice(uint32_t device) {
  vfio::KernelDevice& closed = detail(device);
  closed.slot = 0;
  std::fill(std::begin(closed.holders), std::end(closed.holders), ioas::ProcessIdentity{});
  const vfio::GroupState& group = host_->state().groups[host_->state().devices[device].group];
  const int fd = host_->parts().descriptors->DescriptorOf(group.slot);
  if (fd < 0 || !group.container) return;
  // The kernel closes, and so disables, the device with its last descriptor, which is the group's.
  GroupContents contents(calls_);
  if (!contents.Read(fd).ok() || contents.BoundDescriptor(device) < 0) return;
  if (closed.kvm_users != 0) return Disable(calls_, contents.BoundDescriptor(device));
  contents.DropBound(device);
  if (!contents.Replace(fd).ok()) return;
  // Attached again, so that mappings are checked and pinned as before; the next GET_DEVICE_FD does
  // it if this cannot.
  const vfio::ContainerFile container = host_->WithDescriptor(*host_->arena().Get(group.container));
  if (!BindDevice(device, container, contents).ok() || !contents.Replace(fd).ok()) return;
  const uint32_t index = host_->state().devices[device].group;
  if (ErrorsOf(index).has(ioas::kHeld)) (void)FollowErrors(index);
}

ioas::Status KernelPlatform::ShareWithKvm(int fd, bool shared, Tell tell, void* state) {
  uint64_t closed = 0;  // devices that nobody but KVM has held
  {
    GroupContents contents(calls_);
    IOAS_RETURN_IF_ERROR(contents.Read(fd));
    for (uint32_t i = 0; i < contents.bound_count(); ++i) {
      const uint32_t index = contents.bound_device(i);
      if (index == kContainerEntry) continue;
      IOAS_RETURN_IF_ERROR(tell(state, contents.bound_descriptor(i)));
      vfio::KernelDevice& device = detail(index);
      if (shared) {
        ++device.kvm_users;
      } else if (device.kvm_users != 0 && --device.kvm_users == 0 && device.slot == 0) {
        closed |= uint64_t{1} << index;
      }
    }
  }
  for (uint32_t i = 0; i < vfio::kMaxDevices; ++i) {
    if ((closed >> i & 1) != 0) CloseDevice(i);
  }
  return {};
}

}  // namespace compat::kernel
