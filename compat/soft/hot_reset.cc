// Hot reset (vfio_pci_ioctl_get_pci_hot_reset_info, vfio_pci_ioctl_pci_hot_reset in
// drivers/vfio/pci/vfio_pci_core.c). On the software host each PCI bus is reset as a whole.
#include "compat/abi/vfio_device.h"
#include "compat/soft/calls.h"
#include "compat/vfio/hot_reset_groups.h"
#include "ioas/soft/soft_device.h"

namespace compat::soft {
namespace {

using ioas::soft::PciAddress;

const PciAddress& AddressOf(const vfio::Host& host, uint32_t device) {
  return host.arena().Get(host.state().devices[device].soft)->address;
}

// The devices that a hot reset of `device` resets: those of its bus.
uint64_t AffectedDevices(const vfio::Host& host, uint32_t device) {
  const PciAddress& own = AddressOf(host, device);
  uint64_t affected = 0;
  for (uint32_t i = 0; i < host.state().device_count; ++i) {
    const PciAddress& other = AddressOf(host, i);
    if (other.domain == own.domain && other.bus == own.bus) affected |= uint64_t{1} << i;
  }
  return affected;
}

// What `device` is to those who have `owner`, an iommufd: the number that it has there, or whether
// others of its group have one (vfio_iommufd_get_dev_id in drivers/vfio/iommufd.c).
uint32_t DevidOf(const vfio::Host& host, uint32_t device, uint32_t owner) {
  const vfio::DeviceState& state = host.state().devices[device];
  if (state.bound_slot != 0 && state.context == owner) return state.device_object;
  return host.ContextOfGroup(state.group) == owner ? abi::kPciDevidOwned : abi::kPciDevidNotOwned;
}

// `owner`: the iommufd that the one who asks has bound its device to; 0: it is from a group.
abi::PciDependentDevice Describe(const vfio::Host& host, uint32_t device, uint32_t owner) {
  const PciAddress& address = AddressOf(host, device);
  const uint32_t group = host.state().devices[device].group;
  abi::PciDependentDevice description = {};
  if (owner != 0) {
    description.devid = DevidOf(host, device, owner);
  } else {
    description.group_id = host.state().groups[group].number;
  }
  description.segment = address.domain;
  description.bus = address.bus;
  description.devfn = static_cast<uint8_t>(address.device << 3 | address.function);
  return description;
}

// The iommufd that a cdev has bound the device to; 0: none has. Needs the host's lock.
uint32_t OwnerOf(const vfio::Host& host, uint32_t device) {
  return host.IsBoundByCdev(device) ? host.state().devices[device].context : 0;
}

// Whether a reset may be asked for by the holder of all `groups`, or of `owner`.
bool IsOwned(const vfio::Host& host, uint32_t device, uint64_t groups, uint32_t owner) {
  if (owner != 0) return DevidOf(host, device, owner) != abi::kPciDevidNotOwned;
  return (groups >> host.state().devices[device].group & 1) != 0;
}

}  // namespace

ioas::Status GetHotResetInfo(vfio::Host& host, uint32_t device, const decode::DecodedCall& call) {
  ioas::Result<abi::PciHotResetInfo> info = call.CopyIn<abi::PciHotResetInfo>();
  if (!info.ok()) return info.error();
  abi::PciDependentDevice devices[vfio::kMaxDevices];
  uint32_t count = 0;
  uint32_t flags = 0;
  {
    const vfio::Host::Lock lock(host);
    const uint32_t owner = OwnerOf(host, device);
    if (owner != 0) flags = abi::kPciHotResetFlagDevId | abi::kPciHotResetFlagDevIdOwned;
    const uint64_t affected = AffectedDevices(host, device);
    for (uint32_t i = 0; i < vfio::kMaxDevices; ++i) {
      if ((affected >> i & 1) == 0) continue;
      devices[count] = Describe(host, i, owner);
      const bool is_foreign = owner != 0 && devices[count].devid == abi::kPciDevidNotOwned;
      if (is_foreign) flags &= ~abi::kPciHotResetFlagDevIdOwned;
      ++count;
    }
  }
  info->flags = 0;
  info->count = count;
  if (count > (info->argsz - sizeof(*info)) / sizeof(devices[0])) {
    IOAS_RETURN_IF_ERROR(call.CopyOut(*info));
    return ioas::Error{ENOSPC, "argsz has no room for the devices"};
  }
  info->flags = flags;
  IOAS_RETURN_IF_ERROR(
      call.memory->Write(call.argument + sizeof(*info), std::as_bytes(std::span(devices, count))));
  return call.CopyOut(*info);
}

ioas::Status HotReset(vfio::Host& host, SoftPlatform& platform, uint32_t device,
                      const decode::DecodedCall& call) {
  const ioas::Result<abi::PciHotReset> reset = call.CopyIn<abi::PciHotReset>();
  if (!reset.ok()) return reset.error();
  const uint64_t affected = AffectedDevices(host, device);
  vfio::Host::Lock lock(host);
  const uint32_t owner = OwnerOf(host, device);
  if ((reset->count != 0) == (owner != 0)) {
    return ioas::Error{EINVAL, "devices from groups need group descriptors, and others none"};
  }
  if (reset->count > static_cast<uint32_t>(__builtin_popcountll(affected))) {
    return ioas::Error{EINVAL, "more groups than devices are affected"};
  }
  const ioas::Result<uint64_t> groups = vfio::CopyInHotResetGroups(host, call, reset->count);
  if (!groups.ok()) return groups.error();
  for (uint32_t i = 0; i < vfio::kMaxDevices; ++i) {
    if ((affected >> i & 1) != 0 && !IsOwned(host, i, *groups, owner)) {
      return ioas::Error{EINVAL, "an affected device belongs to somebody else"};
    }
  }
  for (uint32_t i = 0; i < vfio::kMaxDevices; ++i) {
    if ((affected >> i & 1) == 0) continue;
    if (ioas::soft::SoftDevice* other = platform.device(i); other != nullptr)
      other->ResetFunction();
  }
  return {};
}

}  // namespace compat::soft
