// The structures and flags of a SPAPR TCE container's own calls (versions 1 and 2) and of EEH.
// Mapping and unmapping take type 1's structures. Source: include/uapi/linux/vfio.h.
#ifndef COMPAT_ABI_VFIO_SPAPR_H_
#define COMPAT_ABI_VFIO_SPAPR_H_

#include <cstdint>

namespace compat::abi {

// struct vfio_iommu_spapr_tce_ddw_info.
struct SpaprTceDdwInfo {
  uint64_t pgsizes;  // one bit for each page size, in bytes
  uint32_t max_dynamic_windows_supported;
  uint32_t levels;
};

// struct vfio_iommu_spapr_tce_info.
struct SpaprTceInfo {
  uint32_t argsz;
  uint32_t flags;  // out: kIommuSpaprInfo...
  uint32_t dma32_window_start;
  uint32_t dma32_window_size;
  SpaprTceDdwInfo ddw;
};
inline constexpr uint32_t kIommuSpaprInfoDdw = 1u << 0;

// struct vfio_iommu_spapr_register_memory: for registering and for unregistering.
struct SpaprRegisterMemory {
  uint32_t argsz;
  uint32_t flags;  // none
  uint64_t vaddr;
  uint64_t size;  // bytes
};

// struct vfio_iommu_spapr_tce_create.
struct SpaprTceCreate {
  uint32_t argsz;
  uint32_t flags;  // none
  uint32_t page_shift;
  uint32_t resv1;
  uint64_t window_size;  // bytes
  uint32_t levels;
  uint32_t resv2;
  uint64_t start_addr;  // out
};

// struct vfio_iommu_spapr_tce_remove.
struct SpaprTceRemove {
  uint32_t argsz;
  uint32_t flags;  // none
  uint64_t start_addr;
};

// struct vfio_eeh_pe_err.
struct EehPeErr {
  uint32_t type;
  uint32_t func;
  uint64_t addr;
  uint64_t mask;
};

// struct vfio_eeh_pe_op. `err` is read only for kEehPeInjectErr.
struct EehPeOp {
  uint32_t argsz;
  uint32_t flags;  // none
  uint32_t op;     // kEehPe...
  uint32_t pad;    // unnamed in the kernel's
  EehPeErr err;
};
inline constexpr uint32_t kEehPeDisable = 0;
inline constexpr uint32_t kEehPeEnable = 1;
inline constexpr uint32_t kEehPeUnfreezeIo = 2;
inline constexpr uint32_t kEehPeUnfreezeDma = 3;
inline constexpr uint32_t kEehPeGetState = 4;
inline constexpr uint32_t kEehPeResetDeactivate = 5;
inline constexpr uint32_t kEehPeResetHot = 6;
inline constexpr uint32_t kEehPeResetFundamental = 7;
inline constexpr uint32_t kEehPeConfigure = 8;
inline constexpr uint32_t kEehPeInjectErr = 9;

// What kEehPeGetState returns.
inline constexpr uint32_t kEehPeStateNormal = 0;
inline constexpr uint32_t kEehPeStateReset = 1;
inline constexpr uint32_t kEehPeStateStopped = 2;
inline constexpr uint32_t kEehPeStateStoppedDma = 4;
inline constexpr uint32_t kEehPeStateUnavail = 5;

}  // namespace compat::abi

#endif  // COMPAT_ABI_VFIO_SPAPR_H_
