// The request numbers of legacy VFIO and of the device cdev, and the numbers that name IOMMU types
// and extensions.
//
// Names are the kernel's without the VFIO_ prefix, in this project's case. One request number has
// several meanings: what it means depends on the descriptor, and on a container on its type; see
// compat/decode. Source: include/uapi/linux/vfio.h.
#ifndef COMPAT_ABI_VFIO_NUMBERS_H_
#define COMPAT_ABI_VFIO_NUMBERS_H_

#include <cstdint>

namespace compat::abi {

// The letter that both interfaces share, and where legacy VFIO's numbers begin behind it.
inline constexpr uint32_t kVfioType = ';';
inline constexpr uint32_t kVfioBase = 100;

// What VFIO_GET_API_VERSION returns.
inline constexpr int kApiVersion = 0;

// The request `_IO(';', 100 + offset)`.
constexpr uint32_t VfioRequest(uint32_t offset) { return kVfioType << 8 | (kVfioBase + offset); }

// Container, whatever its type.
inline constexpr uint32_t kGetApiVersion = VfioRequest(0);
inline constexpr uint32_t kCheckExtension = VfioRequest(1);
inline constexpr uint32_t kSetIommu = VfioRequest(2);

// Group.
inline constexpr uint32_t kGroupGetStatus = VfioRequest(3);
inline constexpr uint32_t kGroupSetContainer = VfioRequest(4);
inline constexpr uint32_t kGroupUnsetContainer = VfioRequest(5);
inline constexpr uint32_t kGroupGetDeviceFd = VfioRequest(6);

// Device.
inline constexpr uint32_t kDeviceGetInfo = VfioRequest(7);
inline constexpr uint32_t kDeviceGetRegionInfo = VfioRequest(8);
inline constexpr uint32_t kDeviceGetIrqInfo = VfioRequest(9);
inline constexpr uint32_t kDeviceSetIrqs = VfioRequest(10);
inline constexpr uint32_t kDeviceReset = VfioRequest(11);
inline constexpr uint32_t kDeviceGetPciHotResetInfo = VfioRequest(12);
inline constexpr uint32_t kDevicePciHotReset = VfioRequest(13);
inline constexpr uint32_t kDeviceQueryGfxPlane = VfioRequest(14);
inline constexpr uint32_t kDeviceGetGfxDmabuf = VfioRequest(15);
inline constexpr uint32_t kDeviceIoeventfd = VfioRequest(16);
inline constexpr uint32_t kDeviceFeature = VfioRequest(17);

// Device opened through its cdev.
inline constexpr uint32_t kDeviceBindIommufd = VfioRequest(18);
inline constexpr uint32_t kDeviceAttachIommufdPt = VfioRequest(19);
inline constexpr uint32_t kDeviceDetachIommufdPt = VfioRequest(20);

// Migration data descriptor.
inline constexpr uint32_t kMigGetPrecopyInfo = VfioRequest(21);

// Container of type 1, and what SPAPR containers share with it.
inline constexpr uint32_t kIommuGetInfo = VfioRequest(12);
inline constexpr uint32_t kIommuMapDma = VfioRequest(13);
inline constexpr uint32_t kIommuUnmapDma = VfioRequest(14);
inline constexpr uint32_t kIommuEnable = VfioRequest(15);
inline constexpr uint32_t kIommuDisable = VfioRequest(16);
inline constexpr uint32_t kIommuDirtyPages = VfioRequest(17);

// SPAPR container.
inline constexpr uint32_t kIommuSpaprTceGetInfo = VfioRequest(12);
inline constexpr uint32_t kIommuSpaprRegisterMemory = VfioRequest(17);
inline constexpr uint32_t kIommuSpaprUnregisterMemory = VfioRequest(18);
inline constexpr uint32_t kIommuSpaprTceCreate = VfioRequest(19);
inline constexpr uint32_t kIommuSpaprTceRemove = VfioRequest(20);
inline constexpr uint32_t kEehPeOp = VfioRequest(21);

// Arguments of VFIO_SET_IOMMU and VFIO_CHECK_EXTENSION.
inline constexpr uint32_t kType1Iommu = 1;
inline constexpr uint32_t kSpaprTceIommu = 2;
inline constexpr uint32_t kType1v2Iommu = 3;
inline constexpr uint32_t kDmaCcIommu = 4;
inline constexpr uint32_t kEeh = 5;
inline constexpr uint32_t kType1NestingIommu = 6;
inline constexpr uint32_t kSpaprTceV2Iommu = 7;
inline constexpr uint32_t kNoIommuIommu = 8;
inline constexpr uint32_t kUnmapAll = 9;
inline constexpr uint32_t kUpdateVaddr = 10;

}  // namespace compat::abi

#endif  // COMPAT_ABI_VFIO_NUMBERS_H_
