// VFIO_DEVICE_FEATURE: its header, its features and their structures (migration, low power, DMA
// logging, bus mastering), and the call of a migration data descriptor.
// Source: include/uapi/linux/vfio.h.
#ifndef COMPAT_ABI_VFIO_FEATURE_H_
#define COMPAT_ABI_VFIO_FEATURE_H_

#include <cstdint>

namespace compat::abi {

// struct vfio_device_feature; the feature's own structure follows.
struct DeviceFeature {
  uint32_t argsz;
  uint32_t flags;  // the feature's index, and kDeviceFeatureGet, Set or Probe
};
inline constexpr uint32_t kDeviceFeatureMask = 0xffff;
inline constexpr uint32_t kDeviceFeatureGet = 1u << 16;
inline constexpr uint32_t kDeviceFeatureSet = 1u << 17;
inline constexpr uint32_t kDeviceFeatureProbe = 1u << 18;

// Indexes of the features.
inline constexpr uint32_t kDeviceFeaturePciVfToken = 0;  // 16 bytes, a UUID
inline constexpr uint32_t kDeviceFeatureMigration = 1;
inline constexpr uint32_t kDeviceFeatureMigDeviceState = 2;
inline constexpr uint32_t kDeviceFeatureLowPowerEntry = 3;  // nothing
inline constexpr uint32_t kDeviceFeatureLowPowerEntryWithWakeup = 4;
inline constexpr uint32_t kDeviceFeatureLowPowerExit = 5;  // nothing
inline constexpr uint32_t kDeviceFeatureDmaLoggingStart = 6;
inline constexpr uint32_t kDeviceFeatureDmaLoggingStop = 7;  // nothing
inline constexpr uint32_t kDeviceFeatureDmaLoggingReport = 8;
inline constexpr uint32_t kDeviceFeatureMigDataSize = 9;
inline constexpr uint32_t kDeviceFeatureBusMaster = 10;
// Later than Linux 6.12.
inline constexpr uint32_t kDeviceFeatureDmaBuf = 11;  // 6.19

// struct vfio_device_feature_migration.
struct FeatureMigration {
  uint64_t flags;  // kMigration...
};
inline constexpr uint64_t kMigrationStopCopy = 1u << 0;
inline constexpr uint64_t kMigrationP2p = 1u << 1;
inline constexpr uint64_t kMigrationPreCopy = 1u << 2;

// struct vfio_device_feature_mig_state.
struct FeatureMigState {
  uint32_t device_state;  // kDeviceState...
  int32_t data_fd;
};
inline constexpr uint32_t kDeviceStateError = 0;
inline constexpr uint32_t kDeviceStateStop = 1;
inline constexpr uint32_t kDeviceStateRunning = 2;
inline constexpr uint32_t kDeviceStateStopCopy = 3;
inline constexpr uint32_t kDeviceStateResuming = 4;
inline constexpr uint32_t kDeviceStateRunningP2p = 5;
inline constexpr uint32_t kDeviceStatePreCopy = 6;
inline constexpr uint32_t kDeviceStatePreCopyP2p = 7;

// struct vfio_device_low_power_entry_with_wakeup.
struct FeatureLowPowerEntryWithWakeup {
  int32_t wakeup_eventfd;
  uint32_t reserved;
};

// struct vfio_device_feature_dma_logging_control.
struct FeatureDmaLoggingControl {
  uint64_t page_size;
  uint32_t num_ranges;
  uint32_t reserved;
  uint64_t ranges;  // address of num_ranges FeatureDmaLoggingRanges
};

// struct vfio_device_feature_dma_logging_range.
struct FeatureDmaLoggingRange {
  uint64_t iova;
  uint64_t length;  // bytes
};

// struct vfio_device_feature_dma_logging_report.
struct FeatureDmaLoggingReport {
  uint64_t iova;
  uint64_t length;  // bytes
  uint64_t page_size;
  uint64_t bitmap;  // address
};

// struct vfio_device_feature_mig_data_size.
struct FeatureMigDataSize {
  uint64_t stop_copy_length;  // bytes
};

// struct vfio_device_feature_bus_master.
struct FeatureBusMaster {
  uint32_t op;
};
inline constexpr uint32_t kDeviceFeatureClearMaster = 0;
inline constexpr uint32_t kDeviceFeatureSetMaster = 1;

// struct vfio_precopy_info: VFIO_MIG_GET_PRECOPY_INFO on a migration data descriptor.
struct PrecopyInfo {
  uint32_t argsz;
  uint32_t flags;
  uint64_t initial_bytes;
  uint64_t dirty_bytes;
};

// struct vfio_region_dma_range (6.19).
struct RegionDmaRange {
  uint64_t offset;
  uint64_t length;
};
// struct vfio_device_feature_dma_buf (6.19); `nr_ranges` RegionDmaRanges follow.
struct FeatureDmaBuf {
  uint32_t region_index;
  uint32_t open_flags;
  uint32_t flags;  // none
  uint32_t nr_ranges;
};

}  // namespace compat::abi

#endif  // COMPAT_ABI_VFIO_FEATURE_H_
