// The calls on a device whose answers differ between a cdev and a device that came from a group;
// everything else is the cdev's business. Behaviour: drivers/vfio/vfio_main.c, and
// vfio_pci_ioctl_get_pci_hot_reset_info and vfio_pci_ioctl_pci_hot_reset in
// drivers/vfio/pci/vfio_pci_core.c.
#include <cstdio>
#include <optional>

#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/kernel/kernel_platform.h"
#include "compat/sysfs/files.h"
#include "compat/vfio/hot_reset_groups.h"

namespace compat::kernel {
namespace {

// More devices than a bus and what is below it can have are more than this answers for.
constexpr uint32_t kMaxAffected = 256;

struct HotResetInfo {
  abi::PciHotResetInfo header;
  abi::PciDependentDevice devices[kMaxAffected];
};

bool DiffersFromCdev(uint32_t request) {
  return request == abi::kDeviceGetPciHotResetInfo || request == abi::kDevicePciHotReset ||
         request == abi::kDeviceBindIommufd || request == abi::kDeviceAttachIommufdPt ||
         request == abi::kDeviceDetachIommufdPt;
}

// VFIO_DEVICE_BIND_IOMMUFD on a device that came from a group (vfio_df_ioctl_bind_iommufd).
ioas::Result<long> BindIommufd(const decode::DecodedCall& call) {
  const ioas::Result<abi::DeviceBindIommufd> bind = call.CopyIn<abi::DeviceBindIommufd>();
  if (!bind.ok()) return bind.error();
  return ioas::Error{EINVAL, "the device was opened through its group"};
}

// The number of the IOMMU group that the PCI device is in.
std::optional<uint32_t> GroupOf(const char* sysfs_root, const abi::PciDependentDevice& device) {
  const sysfs::Path link("%s/sys/bus/pci/devices/%04x:%02x:%02x.%x/iommu_group", sysfs_root,
                         device.segment, device.bus, device.devfn >> 3, device.devfn & 7);
  char name[16];
  return sysfs::ParseNumber(sysfs::ReadLinkName(link, name));
}

// The devices that a hot reset of cdev `fd`'s would reset, by their groups.
ioas::Result<uint32_t> ReadAffected(ioas::kernel::SystemCalls& calls, const char* sysfs_root,
                                    int fd, HotResetInfo& info) {
  info.header = {.argsz = sizeof(info), .flags = 0, .count = 0};
  const long result = calls(SYS_ioctl, fd, abi::kDeviceGetPciHotResetInfo, &info);
  if (result < 0) {
    return ioas::Error{static_cast<int>(-result), "the kernel knows of no hot reset"};
  }
  const uint32_t count = std::min(info.header.count, kMaxAffected);
  for (abi::PciDependentDevice& device : std::span(info.devices, count)) {
    const std::optional<uint32_t> group = GroupOf(sysfs_root, device);
    if (!group) return ioas::Error{EPERM, "an affected device has no IOMMU group"};
    device.group_id = *group;
  }
  return count;
}

}  // namespace

ioas::Result<long> KernelPlatform::GetHotResetInfo(int fd, const decode::DecodedCall& call) {
  ioas::Result<abi::PciHotResetInfo> header = call.CopyIn<abi::PciHotResetInfo>();
  if (!header.ok()) return header.error();
  HotResetInfo info = {};
  const ioas::Result<uint32_t> count = ReadAffected(calls_, sysfs_root_, fd, info);
  if (!count.ok()) return count.error();
  header->flags = 0;
  header->count = *count;
  if (*count > (header->argsz - sizeof(*header)) / sizeof(info.devices[0])) {
    IOAS_RETURN_IF_ERROR(call.CopyOut(*header));
    return ioas::Error{ENOSPC, "argsz has no room for the devices"};
  }
  IOAS_RETURN_IF_ERROR(call.memory->Write(call.argument + sizeof(*header),
                                          std::as_bytes(std::span(info.devices, *count))));
  IOAS_RETURN_IF_ERROR(call.CopyOut(*header));
  return 0L;
}

ioas::Result<long> KernelPlatform::HotReset(int fd, const decode::DecodedCall& call) {
  const ioas::Result<abi::PciHotReset> reset = call.CopyIn<abi::PciHotReset>();
  if (!reset.ok()) return reset.error();
  HotResetInfo info = {};
  const ioas::Result<uint32_t> count = ReadAffected(calls_, sysfs_root_, fd, info);
  if (!count.ok()) return count.error();
  if (reset->count == 0 || reset->count > std::min(*count, vfio::kMaxDevices)) {
    return ioas::Error{EINVAL, "no groups, or more than devices are affected"};
  }
  vfio::Host::Lock lock(*host_);
  const ioas::Result<uint64_t> groups = vfio::CopyInHotResetGroups(*host_, call, reset->count);
  if (!groups.ok()) return groups.error();
  const vfio::HostState& state = host_->state();
  for (const abi::PciDependentDevice& device : std::span(info.devices, *count)) {
    bool is_given = false;
    for (uint32_t i = 0; i < state.group_count; ++i) {
      is_given |= (*groups >> i & 1) != 0 && state.groups[i].number == device.group_id;
    }
    if (!is_given)
      return ioas::Error{EINVAL, "an affected device's group is not among those given"};
  }
  // A cdev's owner proves itself by its iommufd instead of by groups.
  abi::PciHotReset own = {.argsz = sizeof(own), .flags = reset->flags, .count = 0};
  const long result = calls_(SYS_ioctl, fd, abi::kDevicePciHotReset, &own);
  if (result < 0) return ioas::Error{static_cast<int>(-result), "the kernel refuses the reset"};
  return result;
}

ioas::Result<long> KernelPlatform::DeviceIoctl(uint32_t device, int fd,
                                               const vfio::CallArguments& arguments) {
  if (!DiffersFromCdev(static_cast<uint32_t>(arguments.request))) {
    const long result = calls_(SYS_ioctl, fd, arguments.request, arguments.argument);
    if (result < 0) return ioas::Error{static_cast<int>(-result), "the kernel's answer"};
    return result;
  }
  const auto call = decode::Decode(decode::DescriptorKind::kDevice, host_->TypeOfDevice(device),
                                   arguments.request, arguments.argument, arguments.memory);
  if (!call.ok()) return call.error();
  switch (call->row->call) {
    case decode::Call::kDeviceGetPciHotResetInfo:
      return GetHotResetInfo(fd, *call);
    case decode::Call::kDevicePciHotReset:
      return HotReset(fd, *call);
    case decode::Call::kDeviceBindIommufd:
      return BindIommufd(*call);
    default:
      return ioas::Error{ENOTTY, "devices that came from a group have no such call"};
  }
}

}  // namespace compat::kernel
