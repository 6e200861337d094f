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

abi::PciDependentDevice Describe(const vfio::Host& host, uint32_t device) {
  const PciAddress& address = AddressOf(host, device);
  const uint32_t group = host.state().devices[device].group;
  abi::PciDependentDevice description = {};
  description.group_id = host.state().groups[group].number;
  description.segment = address.domain;
  description.bus = address.bus;
  description.devfn = static_cast<uint8_t>(address.device << 3 | address.function);
  return description;
}

}  // namespace

ioas::Status GetHotResetInfo(vfio::Host& host, uint32_t device, const decode::DecodedCall& call) {
  ioas::Result<abi::PciHotResetInfo> info = call.CopyIn<abi::PciHotResetInfo>();
  if (!info.ok()) return info.error();
  abi::PciDependentDevice devices[vfio::kMaxDevices];
  uint32_t count = 0;
  const uint64_t affected = AffectedDevices(host, device);
  for (uint32_t i = 0; i < vfio::kMaxDevices; ++i) {
    if ((affected >> i & 1) != 0) devices[count++] = Describe(host, i);
  }
  info->flags = 0;
  info->count = count;
  if (count > (info->argsz - sizeof(*info)) / sizeof(devices[0])) {
    IOAS_RETURN_IF_ERROR(call.CopyOut(*info));
    return ioas::Error{ENOSPC, "argsz has no room for the devices"};
  }
  IOAS_RETURN_IF_ERROR(
      call.memory->Write(call.argument + sizeof(*info), std::as_bytes(std::span(devices, count))));
  return call.CopyOut(*info);
}

ioas::Status HotReset(vfio::Host& host, SoftPlatform& platform, uint32_t device,
                      const decode::DecodedCall& call) {
  const ioas::Result<abi::PciHotReset> reset = call.CopyIn<abi::PciHotReset>();
  if (!reset.ok()) return reset.error();
  if (reset->count == 0) {
    return ioas::Error{EINVAL, "a device that came from a group needs group descriptors"};
  }
  const uint64_t affected = AffectedDevices(host, device);
  if (reset->count > static_cast<uint32_t>(__builtin_popcountll(affected))) {
    return ioas::Error{EINVAL, "more groups than devices are affected"};
  }
  vfio::Host::Lock lock(host);
  const ioas::Result<uint64_t> groups = vfio::CopyInHotResetGroups(host, call, reset->count);
  if (!groups.ok()) return groups.error();
  for (uint32_t i = 0; i < vfio::kMaxDevices; ++i) {
    if ((affected >> i & 1) == 0) continue;
    if ((*groups >> host.state().devices[i].group & 1) == 0) {
      return ioas::Error{EINVAL, "an affected device's group is not among those given"};
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
