// The structures and flags of a device's calls: information, regions, interrupts, resets, display
// planes, ioeventfds, and the cdev's. VFIO_DEVICE_FEATURE's are in vfio_feature.h.
//
// Fields have the kernel's names. A kernel structure that ends in an array of unknown length is
// here without it: the array starts at the structure's size. Source: include/uapi/linux/vfio.h.
#ifndef COMPAT_ABI_VFIO_DEVICE_H_
#define COMPAT_ABI_VFIO_DEVICE_H_

#include <cstdint>

#include "compat/abi/vfio_container.h"

namespace compat::abi {

// struct vfio_device_info.
struct DeviceInfo {
  uint32_t argsz;
  uint32_t flags;        // out: kDeviceFlags...
  uint32_t num_regions;  // the highest region index plus 1
  uint32_t num_irqs;     // the highest interrupt index plus 1
  uint32_t cap_offset;
  uint32_t pad;
};
inline constexpr uint32_t kDeviceFlagsReset = 1u << 0;
inline constexpr uint32_t kDeviceFlagsPci = 1u << 1;
inline constexpr uint32_t kDeviceFlagsPlatform = 1u << 2;
inline constexpr uint32_t kDeviceFlagsAmba = 1u << 3;
inline constexpr uint32_t kDeviceFlagsCcw = 1u << 4;
inline constexpr uint32_t kDeviceFlagsAp = 1u << 5;
inline constexpr uint32_t kDeviceFlagsFslMc = 1u << 6;
inline constexpr uint32_t kDeviceFlagsCaps = 1u << 7;
inline constexpr uint32_t kDeviceFlagsCdx = 1u << 8;

// struct vfio_device_info_cap_pci_atomic_comp.
struct DeviceInfoCapPciAtomicComp {
  InfoCapHeader header;  // id kDeviceInfoCapPciAtomicComp
  uint32_t flags;        // kPciAtomicComp...
  uint32_t reserved;
};
inline constexpr uint16_t kDeviceInfoCapPciAtomicComp = 5;
inline constexpr uint32_t kPciAtomicComp32 = 1u << 0;
inline constexpr uint32_t kPciAtomicComp64 = 1u << 1;
inline constexpr uint32_t kPciAtomicComp128 = 1u << 2;

// struct vfio_region_info.
struct RegionInfo {
  uint32_t argsz;
  uint32_t flags;  // out: kRegionInfoFlag...
  uint32_t index;
  uint32_t cap_offset;
  uint64_t size;    // bytes
  uint64_t offset;  // of the region in the device's descriptor
};
inline constexpr uint32_t kRegionInfoFlagRead = 1u << 0;
inline constexpr uint32_t kRegionInfoFlagWrite = 1u << 1;
inline constexpr uint32_t kRegionInfoFlagMmap = 1u << 2;
inline constexpr uint32_t kRegionInfoFlagCaps = 1u << 3;

// Ids of the capabilities of RegionInfo. kRegionInfoCapMsixMappable is a bare InfoCapHeader.
inline constexpr uint16_t kRegionInfoCapSparseMmap = 1;
inline constexpr uint16_t kRegionInfoCapType = 2;
inline constexpr uint16_t kRegionInfoCapMsixMappable = 3;

// struct vfio_region_sparse_mmap_area: a part of a region that may be mapped.
struct RegionSparseMmapArea {
  uint64_t offset;  // in the region
  uint64_t size;    // bytes
};

// struct vfio_region_info_cap_sparse_mmap; nr_areas RegionSparseMmapAreas follow.
struct alignas(uint64_t) RegionInfoCapSparseMmap {
  InfoCapHeader header;
  uint32_t nr_areas;
  uint32_t reserved;
};

// struct vfio_region_info_cap_type.
struct RegionInfoCapType {
  InfoCapHeader header;
  uint32_t type;
  uint32_t subtype;
};
inline constexpr uint32_t kRegionTypePciVendorType = 1u << 31;
inline constexpr uint32_t kRegionTypePciVendorMask = 0xffff;
inline constexpr uint32_t kRegionTypeGfx = 1;
inline constexpr uint32_t kRegionTypeCcw = 2;
inline constexpr uint32_t kRegionTypeMigrationDeprecated = 3;

// Region indexes of vfio-pci.
inline constexpr uint32_t kPciBar0RegionIndex = 0;
inline constexpr uint32_t kPciBar1RegionIndex = 1;
inline constexpr uint32_t kPciBar2RegionIndex = 2;
inline constexpr uint32_t kPciBar3RegionIndex = 3;
inline constexpr uint32_t kPciBar4RegionIndex = 4;
inline constexpr uint32_t kPciBar5RegionIndex = 5;
inline constexpr uint32_t kPciRomRegionIndex = 6;
inline constexpr uint32_t kPciConfigRegionIndex = 7;
inline constexpr uint32_t kPciVgaRegionIndex = 8;
inline constexpr uint32_t kPciNumRegions = 9;

// struct vfio_irq_info.
struct IrqInfo {
  uint32_t argsz;
  uint32_t flags;  // out: kIrqInfo...
  uint32_t index;
  uint32_t count;  // out: interrupts of this index
};
inline constexpr uint32_t kIrqInfoEventfd = 1u << 0;
inline constexpr uint32_t kIrqInfoMaskable = 1u << 1;
inline constexpr uint32_t kIrqInfoAutomasked = 1u << 2;
inline constexpr uint32_t kIrqInfoNoresize = 1u << 3;

// Interrupt indexes of vfio-pci.
inline constexpr uint32_t kPciIntxIrqIndex = 0;
inline constexpr uint32_t kPciMsiIrqIndex = 1;
inline constexpr uint32_t kPciMsixIrqIndex = 2;
inline constexpr uint32_t kPciErrIrqIndex = 3;
inline constexpr uint32_t kPciReqIrqIndex = 4;
inline constexpr uint32_t kPciNumIrqs = 5;

// struct vfio_irq_set; `count` bytes (kIrqSetDataBool) or int32_t descriptors (kIrqSetDataEventfd)
// follow.
struct IrqSet {
  uint32_t argsz;
  uint32_t flags;  // one kIrqSetData... and one kIrqSetAction...
  uint32_t index;
  uint32_t start;
  uint32_t count;
};
inline constexpr uint32_t kIrqSetDataNone = 1u << 0;
inline constexpr uint32_t kIrqSetDataBool = 1u << 1;
inline constexpr uint32_t kIrqSetDataEventfd = 1u << 2;
inline constexpr uint32_t kIrqSetActionMask = 1u << 3;
inline constexpr uint32_t kIrqSetActionUnmask = 1u << 4;
inline constexpr uint32_t kIrqSetActionTrigger = 1u << 5;
inline constexpr uint32_t kIrqSetDataTypeMask =
    kIrqSetDataNone | kIrqSetDataBool | kIrqSetDataEventfd;
inline constexpr uint32_t kIrqSetActionTypeMask =
    kIrqSetActionMask | kIrqSetActionUnmask | kIrqSetActionTrigger;

// struct vfio_pci_dependent_device.
struct PciDependentDevice {
  union {
    uint32_t group_id;
    uint32_t devid;  // with kPciHotResetFlagDevId
  };
  uint16_t segment;
  uint8_t bus;
  uint8_t devfn;
};
inline constexpr uint32_t kPciDevidOwned = 0;
inline constexpr uint32_t kPciDevidNotOwned = ~uint32_t{0};

// struct vfio_pci_hot_reset_info; `count` PciDependentDevices follow.
struct PciHotResetInfo {
  uint32_t argsz;
  uint32_t flags;  // out: kPciHotResetFlag...
  uint32_t count;
};
inline constexpr uint32_t kPciHotResetFlagDevId = 1u << 0;
inline constexpr uint32_t kPciHotResetFlagDevIdOwned = 1u << 1;

// struct vfio_pci_hot_reset; `count` int32_t group descriptors follow.
struct PciHotReset {
  uint32_t argsz;
  uint32_t flags;  // none
  uint32_t count;
};

// struct vfio_device_gfx_plane_info.
struct DeviceGfxPlaneInfo {
  uint32_t argsz;
  uint32_t flags;  // kGfxPlaneType...
  uint32_t drm_plane_type;
  uint32_t drm_format;  // out, and all that follows
  uint64_t drm_format_mod;
  uint32_t width;
  uint32_t height;
  uint32_t stride;
  uint32_t size;
  uint32_t x_pos;
  uint32_t y_pos;
  uint32_t x_hot;
  uint32_t y_hot;
  union {
    uint32_t region_index;
    uint32_t dmabuf_id;
  };
  uint32_t reserved;
};
inline constexpr uint32_t kGfxPlaneTypeProbe = 1u << 0;
inline constexpr uint32_t kGfxPlaneTypeDmabuf = 1u << 1;
inline constexpr uint32_t kGfxPlaneTypeRegion = 1u << 2;

// struct vfio_device_ioeventfd.
struct DeviceIoeventfd {
  uint32_t argsz;
  uint32_t flags;   // kDeviceIoeventfd8 and so on
  uint64_t offset;  // in the device's descriptor
  uint64_t data;
  int32_t fd;  // -1 takes the ioeventfd away
  uint32_t reserved;
};
inline constexpr uint32_t kDeviceIoeventfd8 = 1u << 0;
inline constexpr uint32_t kDeviceIoeventfd16 = 1u << 1;
inline constexpr uint32_t kDeviceIoeventfd32 = 1u << 2;
inline constexpr uint32_t kDeviceIoeventfd64 = 1u << 3;
inline constexpr uint32_t kDeviceIoeventfdSizeMask = 0xf;

// struct vfio_device_bind_iommufd.
struct DeviceBindIommufd {
  uint32_t argsz;
  uint32_t flags;  // none
  int32_t iommufd;
  uint32_t out_devid;
};

// struct vfio_device_attach_iommufd_pt. `pasid` exists from Linux 6.15, for kDeviceAttachPasid.
struct DeviceAttachIommufdPt {
  uint32_t argsz;
  uint32_t flags;
  uint32_t pt_id;
  uint32_t pasid;
};
inline constexpr uint32_t kDeviceAttachPasid = 1u << 0;

// struct vfio_device_detach_iommufd_pt. `pasid` exists from Linux 6.15, for kDeviceDetachPasid.
struct DeviceDetachIommufdPt {
  uint32_t argsz;
  uint32_t flags;
  uint32_t pasid;
};
inline constexpr uint32_t kDeviceDetachPasid = 1u << 0;

}  // namespace compat::abi

#endif  // COMPAT_ABI_VFIO_DEVICE_H_
