// What the software IOMMU is for those who ask, and for what they may ask of it: a VT-d of the
// scalable mode (Intel VT-d specification, 11.4.2 and 11.4.3).
#ifndef COMPAT_NATIVE_SOFT_IOMMU_H_
#define COMPAT_NATIVE_SOFT_IOMMU_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"

namespace compat::native {

// The capability register.
inline constexpr uint64_t kCapDomains64K = 6;                        // ND: domains have 16 bits
inline constexpr uint64_t kCapThreeLevels = uint64_t{1} << 9;        // SAGAW: 39 bits
inline constexpr uint64_t kCapWidth39 = uint64_t{38} << 16;          // MGAW
inline constexpr uint64_t kCapLargePages = uint64_t{3} << 34;        // SLLPS: 2 MiB and 1 GiB
inline constexpr uint64_t kCapPageInvalidation = uint64_t{1} << 39;  // PSI
inline constexpr uint64_t kCapDrains = uint64_t{3} << 54;            // DWD and DRD
inline constexpr uint64_t kCapFirstStage1G = uint64_t{1} << 56;      // FL1GP
inline constexpr uint64_t kCapFiveLevels = uint64_t{1} << 60;        // FL5LP

// The extended capability register. SRS and EAFS are not there: no device is a supervisor, and
// accessed bits are not set.
inline constexpr uint64_t kEcapCoherent = uint64_t{1} << 0;       // C
inline constexpr uint64_t kEcapQueue = uint64_t{1} << 1;          // QI
inline constexpr uint64_t kEcapSnoop = uint64_t{1} << 7;          // SC
inline constexpr uint64_t kEcapNested = uint64_t{1} << 26;        // NEST
inline constexpr uint64_t kEcapPasid20Bits = uint64_t{19} << 35;  // PSS
inline constexpr uint64_t kEcapPasid = uint64_t{1} << 40;         // PASID
inline constexpr uint64_t kEcapScalable = uint64_t{1} << 43;      // SMTS
inline constexpr uint64_t kEcapDirty = uint64_t{1} << 45;         // SLADS: what is written is seen
inline constexpr uint64_t kEcapSecondStage = uint64_t{1} << 46;   // SLTS
inline constexpr uint64_t kEcapFirstStage = uint64_t{1} << 47;    // FLTS

// IOMMU_HW_INFO_TYPE_INTEL_VTD's data.
constexpr abi::iommufd::HwInfoVtd SoftIommuInfo() {
  return {.flags = 0,
          .reserved = 0,
          .cap_reg = kCapDomains64K | kCapThreeLevels | kCapWidth39 | kCapLargePages |
                     kCapPageInvalidation | kCapDrains | kCapFirstStage1G | kCapFiveLevels,
          .ecap_reg = kEcapCoherent | kEcapQueue | kEcapSnoop | kEcapNested | kEcapPasid20Bits |
                      kEcapPasid | kEcapScalable | kEcapDirty | kEcapSecondStage | kEcapFirstStage};
}

// What GET_HW_INFO says of an IOMMU.
struct HardwareInfo {
  uint32_t type;  // kHwInfoType...
  std::span<const std::byte> data;
};
inline HardwareInfo SoftIommuHardware() {
  static constexpr abi::iommufd::HwInfoVtd kInfo = SoftIommuInfo();
  return {abi::iommufd::kHwInfoTypeIntelVtd, std::as_bytes(std::span(&kInfo, 1))};
}

}  // namespace compat::native

#endif  // COMPAT_NATIVE_SOFT_IOMMU_H_
