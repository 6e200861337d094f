// What the software IOMMU has beside what the kernel's IOMMUs have: data of our own, by numbers
// that are far from the kernel's. No kernel knows them: they are EOPNOTSUPP there.
#ifndef COMPAT_ABI_IOMMUFD_SOFT_H_
#define COMPAT_ABI_IOMMUFD_SOFT_H_

#include <cstdint>

namespace compat::abi::iommufd {

// "VC" in the upper half: types of HWPT_ALLOC, HWPT_INVALIDATE, VIOMMU_ALLOC and VEVENTQ_ALLOC.
inline constexpr uint32_t kHwptDataSoftTce = 0x56430001;
inline constexpr uint32_t kHwptInvalidateDataSoftTce = 0x56430001;
inline constexpr uint32_t kViommuTypeSoft = 0x56430001;
inline constexpr uint32_t kVeventqTypeSoft = 0x56430001;

// A window of POWER's, for kHwptDataSoftTce: a table of TCEs in the program's memory. Entry N is
// for page N of the window: 8 bytes, big-endian as the hardware reads them, of which bit 0 permits
// reading, bit 1 writing, and those from page_shift on are the address that the page leads to, in
// the parent. An entry without both bits leads nowhere; what lies between is ignored (Linux on
// Power Architecture Reference, "TCE").
struct HwptSoftTce {
  uint64_t table;         // where it lies in the parent: a multiple of 4096
  uint64_t window_start;  // the first of the device's addresses: a multiple of the page size
  uint64_t entries;       // 1 to 1 << 32; neither the table nor the window wraps around
  uint32_t page_shift;    // of the window's pages: 12 to 34
  uint32_t levels;        // 1
  uint32_t flags;         // 0
  uint32_t reserved;      // 0
};

// Forgets what was read of the window's pages from `addr` on.
struct HwptSoftTceInvalidate {
  uint64_t addr;      // a multiple of the page size
  uint64_t npages;    // of the window's; UINT64_MAX with an `addr` of 0: all
  uint32_t flags;     // 0
  uint32_t reserved;  // 0
};

// A device's access that came to nothing, for kVeventqTypeSoft: of a device that has a number in
// the vIOMMU (VDEVICE_ALLOC), through a page table that was made on that.
struct VeventSoft {
  uint64_t virt_id;
  uint64_t addr;    // the first byte that the device could not reach
  uint32_t perm;    // kPgfaultPermRead or kPgfaultPermWrite
  uint32_t reason;  // kVeventSoft...
};
inline constexpr uint32_t kVeventSoftNotMapped = 1;
inline constexpr uint32_t kVeventSoftPermission = 2;
inline constexpr uint32_t kVeventSoftMemoryGone = 3;     // the memory that it leads to
inline constexpr uint32_t kVeventSoftTableGone = 4;      // the program's page table
inline constexpr uint32_t kVeventSoftTableReserved = 5;  // an entry has reserved bits set

}  // namespace compat::abi::iommufd

#endif  // COMPAT_ABI_IOMMUFD_SOFT_H_
