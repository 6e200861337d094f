// Calls on a device's descriptor (drivers/vfio/vfio_main.c, drivers/vfio/pci/vfio_pci_core.c).
#include <bit>

#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_feature.h"
#include "compat/soft/calls.h"
#include "compat/vfio/capability_chain.h"
#include "compat/vfio/regions.h"

namespace compat::soft {
namespace {

using ioas::soft::SoftDevice;
using vfio::RegionOffset;

ioas::Status GetInfo(const decode::DecodedCall& call) {
  ioas::Result<abi::DeviceInfo> info = call.CopyIn<abi::DeviceInfo>();
  if (!info.ok()) return info.error();
  info->flags = abi::kDeviceFlagsPci | abi::kDeviceFlagsReset;
  info->num_regions = abi::kPciNumRegions;
  info->num_irqs = abi::kPciNumIrqs;
  // There are no capabilities; cap_offset and what follows it are written if argsz covers them.
  return call.CopyOut(*info, info->argsz);
}

using RegionChain =
    vfio::CapabilityChain<sizeof(abi::RegionInfoCapSparseMmap) + sizeof(abi::RegionSparseMmapArea)>;

void DescribeBar(const ioas::soft::BarInfo& bar, abi::RegionInfo& info, RegionChain& chain) {
  info.size = bar.size;
  info.flags = 0;
  if (bar.size == 0) return;
  info.flags = abi::kRegionInfoFlagRead | abi::kRegionInfoFlagWrite;
  if (bar.mappable_size == 0) return;
  info.flags |= abi::kRegionInfoFlagMmap;
  if (bar.mappable_size == bar.size) return;
  // The rest holds the MSI-X table.
  const abi::RegionSparseMmapArea area = {bar.mappable_offset, bar.mappable_size};
  chain.Add(
      abi::RegionInfoCapSparseMmap{
          .header = {.id = abi::kRegionInfoCapSparseMmap, .version = 1, .next = 0},
          .nr_areas = 1,
          .reserved = 0},
      std::span<const abi::RegionSparseMmapArea>(&area, 1));
}

ioas::Status GetRegionInfo(SoftDevice& device, const decode::DecodedCall& call) {
  ioas::Result<abi::RegionInfo> info = call.CopyIn<abi::RegionInfo>();
  if (!info.ok()) return info.error();
  RegionChain chain(sizeof(abi::RegionInfo));
  switch (info->index) {
    case abi::kPciConfigRegionIndex:
      info->size = device.config_size();
      info->flags = abi::kRegionInfoFlagRead | abi::kRegionInfoFlagWrite;
      break;
    case abi::kPciRomRegionIndex:
      info->size = 0;
      info->flags = 0;
      break;
    default:
      if (info->index > abi::kPciBar5RegionIndex) {
        return ioas::Error{EINVAL, "the device has no such region"};
      }
      DescribeBar(device.bar(static_cast<uint8_t>(info->index)), *info, chain);
      break;
  }
  info->offset = RegionOffset(info->index);
  // Without capabilities the caller's own cap_offset goes back to it, as in the kernel.
  if (chain.size() != 0) info->cap_offset = 0;
  return vfio::CopyOutWithChain(call, *info, chain, abi::kRegionInfoFlagCaps);
}

ioas::Status GetIrqInfo(SoftDevice& device, const decode::DecodedCall& call) {
  ioas::Result<abi::IrqInfo> info = call.CopyIn<abi::IrqInfo>();
  if (!info.ok()) return info.error();
  if (info->index >= abi::kPciNumIrqs) {
    return ioas::Error{EINVAL, "the device has no such interrupt index"};
  }
  info->flags = abi::kIrqInfoEventfd;
  info->count = device.irq_count(static_cast<ioas::soft::Irq>(info->index));
  if (info->index == abi::kPciIntxIrqIndex) {
    info->flags |= abi::kIrqInfoMaskable | abi::kIrqInfoAutomasked;
  } else if (info->index != abi::kPciMsixIrqIndex) {
    info->flags |= abi::kIrqInfoNoresize;
  }
  return call.CopyOut(*info);
}

// VFIO_DEVICE_FEATURE: an emulated device has none (vfio_ioctl_device_feature checks flags first).
ioas::Status Feature(const decode::DecodedCall& call) {
  const ioas::Result<abi::DeviceFeature> feature = call.CopyIn<abi::DeviceFeature>();
  if (!feature.ok()) return feature.error();
  constexpr uint32_t kGetAndSet = abi::kDeviceFeatureGet | abi::kDeviceFeatureSet;
  if ((feature->flags & abi::kDeviceFeatureProbe) == 0 &&
      (feature->flags & kGetAndSet) == kGetAndSet) {
    return ioas::Error{EINVAL, "GET and SET go together only with PROBE"};
  }
  return ioas::Error{ENOTTY, "the device does not have the feature"};
}

// VFIO_DEVICE_BIND_IOMMUFD on a device that came from a group (vfio_df_ioctl_bind_iommufd).
ioas::Status BindIommufd(const decode::DecodedCall& call) {
  const ioas::Result<abi::DeviceBindIommufd> bind = call.CopyIn<abi::DeviceBindIommufd>();
  if (!bind.ok()) return bind.error();
  return ioas::Error{EINVAL, "the device was opened through its group"};
}

ioas::Status Ioeventfd(const decode::DecodedCall& call) {
  const ioas::Result<abi::DeviceIoeventfd> request = call.CopyIn<abi::DeviceIoeventfd>();
  if (!request.ok()) return request.error();
  if (std::popcount(request->flags & abi::kDeviceIoeventfdSizeMask) != 1 || request->fd < -1) {
    return ioas::Error{EINVAL, "not one size, or neither a descriptor nor -1"};
  }
  // Programs use it to save exits of a virtual machine and go on without it.
  return ioas::Error{ENOTTY, "emulated devices take no ioeventfds"};
}

}  // namespace

ioas::Status CallDevice(vfio::Host& host, SoftPlatform& platform, uint32_t index,
                        SoftDevice& device, const decode::DecodedCall& call) {
  switch (call.row->call) {
    case decode::Call::kDeviceGetInfo:
      return GetInfo(call);
    case decode::Call::kDeviceGetRegionInfo:
      return GetRegionInfo(device, call);
    case decode::Call::kDeviceGetIrqInfo:
      return GetIrqInfo(device, call);
    case decode::Call::kDeviceSetIrqs:
      return SetIrqs(host, device, call);
    case decode::Call::kDeviceReset:
      device.ResetFunction();
      return {};
    case decode::Call::kDeviceGetPciHotResetInfo:
      return GetHotResetInfo(host, index, call);
    case decode::Call::kDevicePciHotReset:
      return HotReset(host, platform, index, call);
    case decode::Call::kDeviceIoeventfd:
      return Ioeventfd(call);
    case decode::Call::kDeviceFeature:
      return Feature(call);
    case decode::Call::kDeviceBindIommufd:
      return BindIommufd(call);
    default:
      return ioas::Error{ENOTTY, "PCI devices have no such call"};
  }
}

}  // namespace compat::soft
