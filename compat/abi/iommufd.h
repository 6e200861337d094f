// The numbers, structures and flags of iommufd's calls on /dev/iommu, up to Linux 6.17.
//
// Fields and flags have the kernel's names without the IOMMU_ prefix; `__reserved` is `reserved`.
// `size` is the caller's size of the structure: the kernel takes a shorter one as zero-extended,
// and a longer one if what it does not know is zero. Data that depends on the IOMMU's kind is in
// iommufd_data.h. Source: include/uapi/linux/iommufd.h.
#ifndef COMPAT_ABI_IOMMUFD_H_
#define COMPAT_ABI_IOMMUFD_H_

#include <cstdint>

namespace compat::abi::iommufd {

// The letter, and the request `_IO(';', number)`.
inline constexpr uint32_t kType = ';';
constexpr uint32_t Request(uint32_t number) { return kType << 8 | number; }

inline constexpr uint32_t kCmdBase = 0x80;
inline constexpr uint32_t kDestroy = Request(0x80);
inline constexpr uint32_t kIoasAlloc = Request(0x81);
inline constexpr uint32_t kIoasAllowIovas = Request(0x82);
inline constexpr uint32_t kIoasCopy = Request(0x83);
inline constexpr uint32_t kIoasIovaRanges = Request(0x84);
inline constexpr uint32_t kIoasMap = Request(0x85);
inline constexpr uint32_t kIoasUnmap = Request(0x86);
inline constexpr uint32_t kOption = Request(0x87);
inline constexpr uint32_t kVfioIoas = Request(0x88);
inline constexpr uint32_t kHwptAlloc = Request(0x89);
inline constexpr uint32_t kGetHwInfo = Request(0x8a);
inline constexpr uint32_t kHwptSetDirtyTracking = Request(0x8b);
inline constexpr uint32_t kHwptGetDirtyBitmap = Request(0x8c);
inline constexpr uint32_t kHwptInvalidate = Request(0x8d);
inline constexpr uint32_t kFaultQueueAlloc = Request(0x8e);
// Later than Linux 6.12.
inline constexpr uint32_t kIoasMapFile = Request(0x8f);        // 6.13
inline constexpr uint32_t kViommuAlloc = Request(0x90);        // 6.13
inline constexpr uint32_t kVdeviceAlloc = Request(0x91);       // 6.13
inline constexpr uint32_t kIoasChangeProcess = Request(0x92);  // 6.13
inline constexpr uint32_t kVeventqAlloc = Request(0x93);       // 6.15
inline constexpr uint32_t kHwQueueAlloc = Request(0x94);       // 6.17

// struct iommu_destroy.
struct Destroy {
  uint32_t size;
  uint32_t id;
};

// struct iommu_ioas_alloc.
struct IoasAlloc {
  uint32_t size;
  uint32_t flags;
  uint32_t out_ioas_id;
};

// struct iommu_iova_range, inclusive.
struct IovaRange {
  uint64_t start;
  uint64_t last;
};

// struct iommu_ioas_iova_ranges.
struct IoasIovaRanges {
  uint32_t size;
  uint32_t ioas_id;
  uint32_t num_iovas;
  uint32_t reserved;
  uint64_t allowed_iovas;
  uint64_t out_iova_alignment;
};

// struct iommu_ioas_allow_iovas.
struct IoasAllowIovas {
  uint32_t size;
  uint32_t ioas_id;
  uint32_t num_iovas;
  uint32_t reserved;
  uint64_t allowed_iovas;
};

// struct iommu_ioas_map.
struct IoasMap {
  uint32_t size;
  uint32_t flags;  // kIoasMap...
  uint32_t ioas_id;
  uint32_t reserved;
  uint64_t user_va;
  uint64_t length;
  uint64_t iova;
};
inline constexpr uint32_t kIoasMapFixedIova = 1u << 0;
inline constexpr uint32_t kIoasMapWriteable = 1u << 1;
inline constexpr uint32_t kIoasMapReadable = 1u << 2;

// struct iommu_ioas_copy; flags as for IoasMap.
struct IoasCopy {
  uint32_t size;
  uint32_t flags;
  uint32_t dst_ioas_id;
  uint32_t src_ioas_id;
  uint64_t length;
  uint64_t dst_iova;
  uint64_t src_iova;
};

// struct iommu_ioas_unmap.
struct IoasUnmap {
  uint32_t size;
  uint32_t ioas_id;
  uint64_t iova;
  uint64_t length;
};

// struct iommu_option.
struct Option {
  uint32_t size;
  uint32_t option_id;  // kOption...
  uint16_t op;         // kOptionOp...
  uint16_t reserved;
  uint32_t object_id;
  uint64_t val64;
};
inline constexpr uint32_t kOptionRlimitMode = 0;
inline constexpr uint32_t kOptionHugePages = 1;
inline constexpr uint16_t kOptionOpSet = 0;
inline constexpr uint16_t kOptionOpGet = 1;

// struct iommu_vfio_ioas.
struct VfioIoas {
  uint32_t size;
  uint32_t ioas_id;
  uint16_t op;  // kVfioIoas...
  uint16_t reserved;
};
inline constexpr uint16_t kVfioIoasGet = 0;
inline constexpr uint16_t kVfioIoasSet = 1;
inline constexpr uint16_t kVfioIoasClear = 2;

// struct iommu_hwpt_alloc.
struct HwptAlloc {
  uint32_t size;
  uint32_t flags;  // kHwpt...
  uint32_t dev_id;
  uint32_t pt_id;
  uint32_t out_hwpt_id;
  uint32_t reserved;
  uint32_t data_type;  // kHwptData...
  uint32_t data_len;
  uint64_t data_uptr;
  uint32_t fault_id;
  uint32_t reserved2;
};
inline constexpr uint32_t kHwptAllocNestParent = 1u << 0;
inline constexpr uint32_t kHwptAllocDirtyTracking = 1u << 1;
inline constexpr uint32_t kHwptFaultIdValid = 1u << 2;
inline constexpr uint32_t kHwptAllocPasid = 1u << 3;  // Linux 6.13
inline constexpr uint32_t kHwptDataNone = 0;
inline constexpr uint32_t kHwptDataVtdS1 = 1;

// struct iommu_hw_info.
struct HwInfo {
  uint32_t size;
  uint32_t flags;
  uint32_t dev_id;
  uint32_t data_len;
  uint64_t data_uptr;
  uint32_t out_data_type;  // kHwInfoType...
  uint8_t out_max_pasid_log2;
  uint8_t reserved[3];
  uint64_t out_capabilities;  // kHwCap...
};
inline constexpr uint32_t kHwInfoTypeNone = 0;
inline constexpr uint32_t kHwInfoTypeIntelVtd = 1;
inline constexpr uint64_t kHwCapDirtyTracking = 1u << 0;
inline constexpr uint64_t kHwCapPciPasidExec = 1u << 1;
inline constexpr uint64_t kHwCapPciPasidPriv = 1u << 2;

// struct iommu_hwpt_set_dirty_tracking.
struct HwptSetDirtyTracking {
  uint32_t size;
  uint32_t flags;
  uint32_t hwpt_id;
  uint32_t reserved;
};
inline constexpr uint32_t kHwptDirtyTrackingEnable = 1;

// struct iommu_hwpt_get_dirty_bitmap.
struct HwptGetDirtyBitmap {
  uint32_t size;
  uint32_t hwpt_id;
  uint32_t flags;
  uint32_t reserved;
  uint64_t iova;
  uint64_t length;
  uint64_t page_size;
  uint64_t data;
};
inline constexpr uint32_t kHwptGetDirtyBitmapNoClear = 1;

// struct iommu_hwpt_invalidate.
struct HwptInvalidate {
  uint32_t size;
  uint32_t hwpt_id;
  uint64_t data_uptr;
  uint32_t data_type;  // kHwptInvalidateData...
  uint32_t entry_len;
  uint32_t entry_num;
  uint32_t reserved;
};
inline constexpr uint32_t kHwptInvalidateDataVtdS1 = 0;

// struct iommu_fault_alloc.
struct FaultAlloc {
  uint32_t size;
  uint32_t flags;
  uint32_t out_fault_id;
  uint32_t out_fault_fd;
};

// struct iommu_ioas_map_file (6.13); flags as for IoasMap.
struct IoasMapFile {
  uint32_t size;
  uint32_t flags;
  uint32_t ioas_id;
  int32_t fd;
  uint64_t start;
  uint64_t length;
  uint64_t iova;
};

// struct iommu_viommu_alloc (6.13; data_len and what follows it from 6.17).
struct ViommuAlloc {
  uint32_t size;
  uint32_t flags;
  uint32_t type;
  uint32_t dev_id;
  uint32_t hwpt_id;
  uint32_t out_viommu_id;
  uint32_t data_len;
  uint32_t reserved;
  uint64_t data_uptr;
};
inline constexpr uint32_t kViommuTypeDefault = 0;

// struct iommu_vdevice_alloc (6.13).
struct VdeviceAlloc {
  uint32_t size;
  uint32_t viommu_id;
  uint32_t dev_id;
  uint32_t out_vdevice_id;
  uint64_t virt_id;
};

// struct iommu_ioas_change_process (6.13).
struct IoasChangeProcess {
  uint32_t size;
  uint32_t reserved;
};

// struct iommu_veventq_alloc (6.15).
struct VeventqAlloc {
  uint32_t size;
  uint32_t flags;
  uint32_t viommu_id;
  uint32_t type;
  uint32_t veventq_depth;
  uint32_t out_veventq_id;
  uint32_t out_veventq_fd;
  uint32_t reserved;
};
inline constexpr uint32_t kVeventqTypeDefault = 0;

// struct iommu_hw_queue_alloc (6.17).
struct HwQueueAlloc {
  uint32_t size;
  uint32_t flags;
  uint32_t viommu_id;
  uint32_t type;
  uint32_t index;
  uint32_t out_hw_queue_id;
  uint64_t nesting_parent_iova;
  uint64_t length;
};
inline constexpr uint32_t kHwQueueTypeDefault = 0;

}  // namespace compat::abi::iommufd

#endif  // COMPAT_ABI_IOMMUFD_H_
