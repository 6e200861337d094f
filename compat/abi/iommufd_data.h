// What iommufd's calls point at beside their own structures: VT-d's data, and the records of a
// fault queue. Source: include/uapi/linux/iommufd.h.
#ifndef COMPAT_ABI_IOMMUFD_DATA_H_
#define COMPAT_ABI_IOMMUFD_DATA_H_

#include <cstdint>

namespace compat::abi::iommufd {

// struct iommu_hwpt_vtd_s1.
struct HwptVtdS1 {
  uint64_t flags;  // kVtdS1...
  uint64_t pgtbl_addr;
  uint32_t addr_width;
  uint32_t reserved;
};
inline constexpr uint64_t kVtdS1Sre = 1u << 0;
inline constexpr uint64_t kVtdS1Eafe = 1u << 1;
inline constexpr uint64_t kVtdS1Wpe = 1u << 2;

// struct iommu_hw_info_vtd.
struct HwInfoVtd {
  uint32_t flags;  // kHwInfoVtd...
  uint32_t reserved;
  uint64_t cap_reg;
  uint64_t ecap_reg;
};
inline constexpr uint32_t kHwInfoVtdErrata772415Spr17 = 1u << 0;

// struct iommu_hwpt_vtd_s1_invalidate.
struct HwptVtdS1Invalidate {
  uint64_t addr;
  uint64_t npages;
  uint32_t flags;  // kVtdInvFlags...
  uint32_t reserved;
};
inline constexpr uint32_t kVtdInvFlagsLeaf = 1u << 0;

// struct iommu_hwpt_pgfault: what a fault queue's descriptor reads.
struct HwptPgfault {
  uint32_t flags;  // kPgfaultFlags...
  uint32_t dev_id;
  uint32_t pasid;
  uint32_t grpid;
  uint32_t perm;  // kPgfaultPerm...
  uint32_t reserved;
  uint64_t addr;
  uint32_t length;
  uint32_t cookie;
};
inline constexpr uint32_t kPgfaultFlagsPasidValid = 1u << 0;
inline constexpr uint32_t kPgfaultFlagsLastPage = 1u << 1;
inline constexpr uint32_t kPgfaultPermRead = 1u << 0;
inline constexpr uint32_t kPgfaultPermWrite = 1u << 1;
inline constexpr uint32_t kPgfaultPermExec = 1u << 2;
inline constexpr uint32_t kPgfaultPermPriv = 1u << 3;

// struct iommu_hwpt_page_response: what a fault queue's descriptor is written.
struct HwptPageResponse {
  uint32_t cookie;
  uint32_t code;  // kPageResp...
};
inline constexpr uint32_t kPageRespSuccess = 0;
inline constexpr uint32_t kPageRespInvalid = 1;

// struct iommufd_vevent_header (6.15): what comes before each event that an event queue's
// descriptor reads. With the flag it comes alone.
struct VeventHeader {
  uint32_t flags;  // kVeventqFlag...
  uint32_t sequence;
};
inline constexpr uint32_t kVeventqFlagLostEvents = 1u << 0;

}  // namespace compat::abi::iommufd

#endif  // COMPAT_ABI_IOMMUFD_DATA_H_
