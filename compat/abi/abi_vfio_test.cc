// Holds the definitions of legacy VFIO and of the device cdev against linux-source-6.12.
#include <linux/vfio.h>

#include <cstdint>

#include "compat/abi/abi_check.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_feature.h"
#include "compat/abi/vfio_group.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"

namespace compat::abi {
namespace {

TEST(VfioAbiTest, ContainerStructuresAreTheKernels) {
  EXPECT_STRUCT(InfoCapHeader, vfio_info_cap_header, id, version, next);
  EXPECT_STRUCT(Type1Info, vfio_iommu_type1_info, argsz, flags, iova_pgsizes, cap_offset, pad);
  EXPECT_STRUCT(IovaRange, vfio_iova_range, start, end);
  EXPECT_STRUCT(Type1InfoCapIovaRange, vfio_iommu_type1_info_cap_iova_range, header, nr_iovas,
                reserved);
  EXPECT_TRAILING(Type1InfoCapIovaRange, vfio_iommu_type1_info_cap_iova_range, iova_ranges);
  EXPECT_STRUCT(Type1InfoCapMigration, vfio_iommu_type1_info_cap_migration, header, flags,
                pgsize_bitmap, max_dirty_bitmap_size);
  EXPECT_STRUCT(Type1InfoDmaAvail, vfio_iommu_type1_info_dma_avail, header, avail);
  EXPECT_STRUCT(DmaMap, vfio_iommu_type1_dma_map, argsz, flags, vaddr, iova, size);
  EXPECT_STRUCT(Bitmap, vfio_bitmap, pgsize, size, data);
  EXPECT_STRUCT(DmaUnmap, vfio_iommu_type1_dma_unmap, argsz, flags, iova, size);
  EXPECT_TRAILING(DmaUnmap, vfio_iommu_type1_dma_unmap, data);
  EXPECT_STRUCT(DirtyBitmap, vfio_iommu_type1_dirty_bitmap, argsz, flags);
  EXPECT_TRAILING(DirtyBitmap, vfio_iommu_type1_dirty_bitmap, data);
  EXPECT_STRUCT(DirtyBitmapGet, vfio_iommu_type1_dirty_bitmap_get, iova, size, bitmap);
}

TEST(VfioAbiTest, SpaprStructuresAreTheKernels) {
  EXPECT_STRUCT(SpaprTceDdwInfo, vfio_iommu_spapr_tce_ddw_info, pgsizes,
                max_dynamic_windows_supported, levels);
  EXPECT_STRUCT(SpaprTceInfo, vfio_iommu_spapr_tce_info, argsz, flags, dma32_window_start,
                dma32_window_size, ddw);
  EXPECT_STRUCT(SpaprRegisterMemory, vfio_iommu_spapr_register_memory, argsz, flags, vaddr, size);
  EXPECT_STRUCT(SpaprTceCreate, vfio_iommu_spapr_tce_create, argsz, flags, page_shift, window_size,
                levels, start_addr);
  EXPECT_FIELD(SpaprTceCreate, vfio_iommu_spapr_tce_create, resv1, __resv1);
  EXPECT_FIELD(SpaprTceCreate, vfio_iommu_spapr_tce_create, resv2, __resv2);
  EXPECT_STRUCT(SpaprTceRemove, vfio_iommu_spapr_tce_remove, argsz, flags, start_addr);
  EXPECT_STRUCT(EehPeErr, vfio_eeh_pe_err, type, func, addr, mask);
  EXPECT_STRUCT(EehPeOp, vfio_eeh_pe_op, argsz, flags, op, err);
}

TEST(VfioAbiTest, GroupAndDeviceStructuresAreTheKernels) {
  EXPECT_STRUCT(GroupStatus, vfio_group_status, argsz, flags);
  EXPECT_STRUCT(DeviceInfo, vfio_device_info, argsz, flags, num_regions, num_irqs, cap_offset, pad);
  EXPECT_STRUCT(DeviceInfoCapPciAtomicComp, vfio_device_info_cap_pci_atomic_comp, header, flags,
                reserved);
  EXPECT_STRUCT(RegionInfo, vfio_region_info, argsz, flags, index, cap_offset, size, offset);
  EXPECT_STRUCT(RegionSparseMmapArea, vfio_region_sparse_mmap_area, offset, size);
  EXPECT_STRUCT(RegionInfoCapSparseMmap, vfio_region_info_cap_sparse_mmap, header, nr_areas,
                reserved);
  EXPECT_TRAILING(RegionInfoCapSparseMmap, vfio_region_info_cap_sparse_mmap, areas);
  EXPECT_STRUCT(RegionInfoCapType, vfio_region_info_cap_type, header, type, subtype);
  EXPECT_STRUCT(IrqInfo, vfio_irq_info, argsz, flags, index, count);
  EXPECT_STRUCT(IrqSet, vfio_irq_set, argsz, flags, index, start, count);
  EXPECT_TRAILING(IrqSet, vfio_irq_set, data);
  EXPECT_STRUCT(PciDependentDevice, vfio_pci_dependent_device, group_id, devid, segment, bus,
                devfn);
  EXPECT_STRUCT(PciHotResetInfo, vfio_pci_hot_reset_info, argsz, flags, count);
  EXPECT_TRAILING(PciHotResetInfo, vfio_pci_hot_reset_info, devices);
  EXPECT_STRUCT(PciHotReset, vfio_pci_hot_reset, argsz, flags, count);
  EXPECT_TRAILING(PciHotReset, vfio_pci_hot_reset, group_fds);
  EXPECT_STRUCT(DeviceGfxPlaneInfo, vfio_device_gfx_plane_info, argsz, flags, drm_plane_type,
                drm_format, drm_format_mod, width, height, stride, size, x_pos, y_pos, x_hot, y_hot,
                region_index, dmabuf_id, reserved);
  EXPECT_STRUCT(DeviceIoeventfd, vfio_device_ioeventfd, argsz, flags, offset, data, fd, reserved);
  EXPECT_STRUCT(DeviceBindIommufd, vfio_device_bind_iommufd, argsz, flags, iommufd, out_devid);
}

TEST(VfioAbiTest, FeatureStructuresAreTheKernels) {
  EXPECT_STRUCT(DeviceFeature, vfio_device_feature, argsz, flags);
  EXPECT_TRAILING(DeviceFeature, vfio_device_feature, data);
  EXPECT_STRUCT(FeatureMigration, vfio_device_feature_migration, flags);
  EXPECT_STRUCT(FeatureMigState, vfio_device_feature_mig_state, device_state, data_fd);
  EXPECT_STRUCT(FeatureLowPowerEntryWithWakeup, vfio_device_low_power_entry_with_wakeup,
                wakeup_eventfd, reserved);
  EXPECT_STRUCT(FeatureDmaLoggingControl, vfio_device_feature_dma_logging_control, page_size,
                num_ranges, ranges);
  EXPECT_FIELD(FeatureDmaLoggingControl, vfio_device_feature_dma_logging_control, reserved,
               __reserved);
  EXPECT_STRUCT(FeatureDmaLoggingRange, vfio_device_feature_dma_logging_range, iova, length);
  EXPECT_STRUCT(FeatureDmaLoggingReport, vfio_device_feature_dma_logging_report, iova, length,
                page_size, bitmap);
  EXPECT_STRUCT(FeatureMigDataSize, vfio_device_feature_mig_data_size, stop_copy_length);
  EXPECT_STRUCT(FeatureBusMaster, vfio_device_feature_bus_master, op);
  EXPECT_STRUCT(PrecopyInfo, vfio_precopy_info, argsz, flags, initial_bytes, dirty_bytes);
}

// From Linux 6.15 ATTACH and DETACH end in a PASID, which 6.12's headers do not have: unchecked.
TEST(VfioAbiTest, AttachAndDetachAreTheKernelsButForTheirLaterPasid) {
  EXPECT_FIELD(DeviceAttachIommufdPt, vfio_device_attach_iommufd_pt, argsz, argsz);
  EXPECT_FIELD(DeviceAttachIommufdPt, vfio_device_attach_iommufd_pt, flags, flags);
  EXPECT_FIELD(DeviceAttachIommufdPt, vfio_device_attach_iommufd_pt, pt_id, pt_id);
  EXPECT_EQ(sizeof(vfio_device_attach_iommufd_pt), offsetof(DeviceAttachIommufdPt, pasid));
  EXPECT_EQ(sizeof(DeviceAttachIommufdPt), 16U);
  EXPECT_FIELD(DeviceDetachIommufdPt, vfio_device_detach_iommufd_pt, argsz, argsz);
  EXPECT_FIELD(DeviceDetachIommufdPt, vfio_device_detach_iommufd_pt, flags, flags);
  EXPECT_EQ(sizeof(vfio_device_detach_iommufd_pt), offsetof(DeviceDetachIommufdPt, pasid));
  EXPECT_EQ(sizeof(DeviceDetachIommufdPt), 12U);
  RecordProperty("unchecked", "DeviceAttachIommufdPt.pasid DeviceDetachIommufdPt.pasid");
}

}  // namespace
}  // namespace compat::abi
