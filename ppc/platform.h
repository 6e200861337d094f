// What the DMA windows of a POWER machine are like: an emulated host has no hardware that says so.
#ifndef PPC_PLATFORM_H_
#define PPC_PLATFORM_H_

#include <cstdint>
#include <optional>

#include "compat/settings/settings.h"
#include "ioas/base/result.h"

namespace ppc {

// The default window's pages, and the smallest of any: 1 << 12 bytes.
inline constexpr uint32_t kDefaultPageShift = 12;

// What a container's windows are like. Lies in the arena beside the container.
struct PlatformProfile {
  compat::settings::PowerPlatform kind;
  uint64_t default_size;   // of the default window, which starts at 0, in bytes
  uint64_t dynamic_start;  // where the window beside it starts
  uint64_t page_sizes;     // of windows: one bit for each, in bytes
  uint32_t windows;        // how many a container can have
  uint32_t levels;         // how many a window's table can have
};

// A machine's profile.
// powernv: as Linux 6.12 on a PHB4 says (tests/conformance/spapr).
// pseries: as arch/powerpc/platforms/pseries/iommu.c of 6.12 makes of what PowerVM's firmware
// offers a device that is no virtual function.
// `tce64_start` replaces the second window's start, if there is one.
PlatformProfile ProfileOf(compat::settings::PowerPlatform kind,
                          std::optional<uint64_t> tce64_start);

// What a container has beside the window that is asked for.
enum class OtherWindow {
  kNone,
  kDefault,  // as large as the default window, or smaller, with its pages
  kDynamic,
};

// A window that is asked for.
struct WindowRequest {
  uint32_t number;  // the first that is free, counted from 0
  OtherWindow other;
  uint32_t page_shift;  // below 64
  uint64_t size;        // bytes
  uint32_t levels;
};

// What the kernel would allocate for the window's table and account as locked memory, in bytes: no
// table is, here. 0 if there is no such window (get_table_size of struct iommu_table_group_ops).
uint64_t TableBytes(const PlatformProfile& profile, const WindowRequest& request);

// What a window comes to be.
struct WindowPlan {
  uint64_t start;
  uint64_t pages;  // may be more than asked for: the table takes whole pages of memory
};

// Plans a window for which TableBytes is not 0 (create_table of struct iommu_table_group_ops).
// EINVAL if the platform has no such windows, ENOMEM if a level of its table were larger than the
// kernel can allocate, EPERM or ENODEV where pseries does not have both windows together.
ioas::Result<WindowPlan> PlanWindow(const PlatformProfile& profile, const WindowRequest& request);

// Whether a window of these pages passes for the default one.
bool IsDefaultWindow(const PlatformProfile& profile, uint32_t page_shift, uint64_t size);

// Whether groups can share windows: pseries has each group's apart.
bool CanShareWindows(const PlatformProfile& profile);

}  // namespace ppc

#endif  // PPC_PLATFORM_H_
