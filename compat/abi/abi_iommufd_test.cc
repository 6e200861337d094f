// Holds the definitions of iommufd against linux-source-6.12.
#include <linux/iommufd.h>

#include <cstdint>

#include "compat/abi/abi_check.h"
#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"

namespace compat::abi::iommufd {
namespace {

TEST(IommufdAbiTest, AddressSpaceStructuresAreTheKernels) {
  EXPECT_STRUCT(Destroy, iommu_destroy, size, id);
  EXPECT_STRUCT(IoasAlloc, iommu_ioas_alloc, size, flags, out_ioas_id);
  EXPECT_STRUCT(IovaRange, iommu_iova_range, start, last);
  EXPECT_STRUCT(IoasIovaRanges, iommu_ioas_iova_ranges, size, ioas_id, num_iovas, allowed_iovas,
                out_iova_alignment);
  EXPECT_FIELD(IoasIovaRanges, iommu_ioas_iova_ranges, reserved, __reserved);
  EXPECT_STRUCT(IoasAllowIovas, iommu_ioas_allow_iovas, size, ioas_id, num_iovas, allowed_iovas);
  EXPECT_FIELD(IoasAllowIovas, iommu_ioas_allow_iovas, reserved, __reserved);
  EXPECT_STRUCT(IoasMap, iommu_ioas_map, size, flags, ioas_id, user_va, length, iova);
  EXPECT_FIELD(IoasMap, iommu_ioas_map, reserved, __reserved);
  EXPECT_STRUCT(IoasCopy, iommu_ioas_copy, size, flags, dst_ioas_id, src_ioas_id, length, dst_iova,
                src_iova);
  EXPECT_STRUCT(IoasUnmap, iommu_ioas_unmap, size, ioas_id, iova, length);
  EXPECT_STRUCT(Option, iommu_option, size, option_id, op, object_id, val64);
  EXPECT_FIELD(Option, iommu_option, reserved, __reserved);
  EXPECT_STRUCT(VfioIoas, iommu_vfio_ioas, size, ioas_id, op);
  EXPECT_FIELD(VfioIoas, iommu_vfio_ioas, reserved, __reserved);
}

TEST(IommufdAbiTest, PageTableStructuresAreTheKernels) {
  EXPECT_STRUCT(HwptAlloc, iommu_hwpt_alloc, size, flags, dev_id, pt_id, out_hwpt_id, data_type,
                data_len, data_uptr, fault_id);
  EXPECT_FIELD(HwptAlloc, iommu_hwpt_alloc, reserved, __reserved);
  EXPECT_FIELD(HwptAlloc, iommu_hwpt_alloc, reserved2, __reserved2);
  EXPECT_STRUCT(HwInfo, iommu_hw_info, size, flags, dev_id, data_len, data_uptr, out_data_type,
                out_max_pasid_log2, out_capabilities);
  EXPECT_FIELD(HwInfo, iommu_hw_info, reserved, __reserved);
  EXPECT_STRUCT(HwptSetDirtyTracking, iommu_hwpt_set_dirty_tracking, size, flags, hwpt_id);
  EXPECT_FIELD(HwptSetDirtyTracking, iommu_hwpt_set_dirty_tracking, reserved, __reserved);
  EXPECT_STRUCT(HwptGetDirtyBitmap, iommu_hwpt_get_dirty_bitmap, size, hwpt_id, flags, iova, length,
                page_size, data);
  EXPECT_FIELD(HwptGetDirtyBitmap, iommu_hwpt_get_dirty_bitmap, reserved, __reserved);
  EXPECT_STRUCT(HwptInvalidate, iommu_hwpt_invalidate, size, hwpt_id, data_uptr, data_type,
                entry_len, entry_num);
  EXPECT_FIELD(HwptInvalidate, iommu_hwpt_invalidate, reserved, __reserved);
  EXPECT_STRUCT(FaultAlloc, iommu_fault_alloc, size, flags, out_fault_id, out_fault_fd);
}

TEST(IommufdAbiTest, DataStructuresAreTheKernels) {
  EXPECT_STRUCT(HwptVtdS1, iommu_hwpt_vtd_s1, flags, pgtbl_addr, addr_width);
  EXPECT_FIELD(HwptVtdS1, iommu_hwpt_vtd_s1, reserved, __reserved);
  EXPECT_STRUCT(HwInfoVtd, iommu_hw_info_vtd, flags, cap_reg, ecap_reg);
  EXPECT_FIELD(HwInfoVtd, iommu_hw_info_vtd, reserved, __reserved);
  EXPECT_STRUCT(HwptVtdS1Invalidate, iommu_hwpt_vtd_s1_invalidate, addr, npages, flags);
  EXPECT_FIELD(HwptVtdS1Invalidate, iommu_hwpt_vtd_s1_invalidate, reserved, __reserved);
  EXPECT_STRUCT(HwptPgfault, iommu_hwpt_pgfault, flags, dev_id, pasid, grpid, perm, addr, length,
                cookie);
  EXPECT_FIELD(HwptPgfault, iommu_hwpt_pgfault, reserved, __reserved);
  EXPECT_STRUCT(HwptPageResponse, iommu_hwpt_page_response, cookie, code);
}

TEST(IommufdAbiTest, RequestsAreTheKernels) {
  EXPECT_NUMBER(kType, IOMMUFD_TYPE);
  EXPECT_NUMBER(kCmdBase, IOMMUFD_CMD_BASE);
  EXPECT_NUMBER(kDestroy, IOMMU_DESTROY);
  EXPECT_NUMBER(kIoasAlloc, IOMMU_IOAS_ALLOC);
  EXPECT_NUMBER(kIoasAllowIovas, IOMMU_IOAS_ALLOW_IOVAS);
  EXPECT_NUMBER(kIoasCopy, IOMMU_IOAS_COPY);
  EXPECT_NUMBER(kIoasIovaRanges, IOMMU_IOAS_IOVA_RANGES);
  EXPECT_NUMBER(kIoasMap, IOMMU_IOAS_MAP);
  EXPECT_NUMBER(kIoasUnmap, IOMMU_IOAS_UNMAP);
  EXPECT_NUMBER(kOption, IOMMU_OPTION);
  EXPECT_NUMBER(kVfioIoas, IOMMU_VFIO_IOAS);
  EXPECT_NUMBER(kHwptAlloc, IOMMU_HWPT_ALLOC);
  EXPECT_NUMBER(kGetHwInfo, IOMMU_GET_HW_INFO);
  EXPECT_NUMBER(kHwptSetDirtyTracking, IOMMU_HWPT_SET_DIRTY_TRACKING);
  EXPECT_NUMBER(kHwptGetDirtyBitmap, IOMMU_HWPT_GET_DIRTY_BITMAP);
  EXPECT_NUMBER(kHwptInvalidate, IOMMU_HWPT_INVALIDATE);
  EXPECT_NUMBER(kFaultQueueAlloc, IOMMU_FAULT_QUEUE_ALLOC);
}

TEST(IommufdAbiTest, FlagsAreTheKernels) {
  EXPECT_NUMBER(kIoasMapFixedIova, IOMMU_IOAS_MAP_FIXED_IOVA);
  EXPECT_NUMBER(kIoasMapWriteable, IOMMU_IOAS_MAP_WRITEABLE);
  EXPECT_NUMBER(kIoasMapReadable, IOMMU_IOAS_MAP_READABLE);
  EXPECT_NUMBER(kOptionRlimitMode, IOMMU_OPTION_RLIMIT_MODE);
  EXPECT_NUMBER(kOptionHugePages, IOMMU_OPTION_HUGE_PAGES);
  EXPECT_NUMBER(kOptionOpSet, IOMMU_OPTION_OP_SET);
  EXPECT_NUMBER(kOptionOpGet, IOMMU_OPTION_OP_GET);
  EXPECT_NUMBER(kVfioIoasGet, IOMMU_VFIO_IOAS_GET);
  EXPECT_NUMBER(kVfioIoasSet, IOMMU_VFIO_IOAS_SET);
  EXPECT_NUMBER(kVfioIoasClear, IOMMU_VFIO_IOAS_CLEAR);
  EXPECT_NUMBER(kHwptAllocNestParent, IOMMU_HWPT_ALLOC_NEST_PARENT);
  EXPECT_NUMBER(kHwptAllocDirtyTracking, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
  EXPECT_NUMBER(kHwptFaultIdValid, IOMMU_HWPT_FAULT_ID_VALID);
  EXPECT_NUMBER(kHwptDataNone, IOMMU_HWPT_DATA_NONE);
  EXPECT_NUMBER(kHwptDataVtdS1, IOMMU_HWPT_DATA_VTD_S1);
  EXPECT_NUMBER(kHwInfoTypeNone, IOMMU_HW_INFO_TYPE_NONE);
  EXPECT_NUMBER(kHwInfoTypeIntelVtd, IOMMU_HW_INFO_TYPE_INTEL_VTD);
  EXPECT_NUMBER(kHwCapDirtyTracking, IOMMU_HW_CAP_DIRTY_TRACKING);
  EXPECT_NUMBER(kHwCapPciPasidExec, IOMMU_HW_CAP_PCI_PASID_EXEC);
  EXPECT_NUMBER(kHwCapPciPasidPriv, IOMMU_HW_CAP_PCI_PASID_PRIV);
  EXPECT_NUMBER(kHwptDirtyTrackingEnable, IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
  EXPECT_NUMBER(kHwptGetDirtyBitmapNoClear, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
  EXPECT_NUMBER(kHwptInvalidateDataVtdS1, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1);
}

TEST(IommufdAbiTest, DataFlagsAreTheKernels) {
  EXPECT_NUMBER(kVtdS1Sre, IOMMU_VTD_S1_SRE);
  EXPECT_NUMBER(kVtdS1Eafe, IOMMU_VTD_S1_EAFE);
  EXPECT_NUMBER(kVtdS1Wpe, IOMMU_VTD_S1_WPE);
  EXPECT_NUMBER(kHwInfoVtdErrata772415Spr17, IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17);
  EXPECT_NUMBER(kVtdInvFlagsLeaf, IOMMU_VTD_INV_FLAGS_LEAF);
  EXPECT_NUMBER(kPgfaultFlagsPasidValid, IOMMU_PGFAULT_FLAGS_PASID_VALID);
  EXPECT_NUMBER(kPgfaultFlagsLastPage, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
  EXPECT_NUMBER(kPgfaultPermRead, IOMMU_PGFAULT_PERM_READ);
  EXPECT_NUMBER(kPgfaultPermWrite, IOMMU_PGFAULT_PERM_WRITE);
  EXPECT_NUMBER(kPgfaultPermExec, IOMMU_PGFAULT_PERM_EXEC);
  EXPECT_NUMBER(kPgfaultPermPriv, IOMMU_PGFAULT_PERM_PRIV);
  EXPECT_NUMBER(kPageRespSuccess, IOMMUFD_PAGE_RESP_SUCCESS);
  EXPECT_NUMBER(kPageRespInvalid, IOMMUFD_PAGE_RESP_INVALID);
}

// 6.12's headers end at IOMMU_FAULT_QUEUE_ALLOC: these are held against what later kernels
// document, and unchecked otherwise.
TEST(IommufdAbiTest, CallsLaterThanTheHeadersHaveTheirDocumentedNumbersAndSizes) {
  EXPECT_EQ(kIoasMapFile, 0x3b8fU);
  EXPECT_EQ(kViommuAlloc, 0x3b90U);
  EXPECT_EQ(kVdeviceAlloc, 0x3b91U);
  EXPECT_EQ(kIoasChangeProcess, 0x3b92U);
  EXPECT_EQ(kVeventqAlloc, 0x3b93U);
  EXPECT_EQ(kHwQueueAlloc, 0x3b94U);
  EXPECT_EQ(kHwptAllocPasid, 8U);
  EXPECT_EQ(sizeof(IoasMapFile), 40U);
  EXPECT_EQ(sizeof(ViommuAlloc), 40U);
  EXPECT_EQ(sizeof(VdeviceAlloc), 24U);
  EXPECT_EQ(sizeof(IoasChangeProcess), 8U);
  EXPECT_EQ(sizeof(VeventqAlloc), 32U);
  EXPECT_EQ(sizeof(HwQueueAlloc), 40U);
  RecordProperty("unchecked",
                 "IoasMapFile ViommuAlloc VdeviceAlloc IoasChangeProcess VeventqAlloc HwQueueAlloc "
                 "kHwptAllocPasid");
}

}  // namespace
}  // namespace compat::abi::iommufd
