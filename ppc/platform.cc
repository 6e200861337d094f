#include "ppc/platform.h"

#include <algorithm>
#include <bit>
#include <cerrno>

namespace ppc {
namespace {

using compat::settings::PowerPlatform;
using ioas::Error;

constexpr uint64_t k4K = uint64_t{1} << 12;
constexpr uint64_t k64K = uint64_t{1} << 16;
constexpr uint64_t k2M = uint64_t{1} << 21;
constexpr uint64_t k1G = uint64_t{1} << 30;
// A device selects the second window with this bit of the address.
constexpr uint64_t kDynamicStart = uint64_t{1} << 59;

// A level of a powernv table is allocated in one piece: at least a page of the recorded kernel, at
// most what its allocator has (order 12).
constexpr int kMinLevelShift = 12;
constexpr int kMaxLevelShift = 24;
// All levels together resolve fewer bits than this.
constexpr int kMaxAddressBits = 55;
constexpr int kEntryShift = 3;

// How many entries a window has, as a power of two; may be negative.
int EntriesShift(const WindowRequest& request) {
  return std::bit_width(request.size) - 1 - static_cast<int>(request.page_shift);
}

// The size of a level of a powernv table, as a power of two.
int LevelShift(const WindowRequest& request) {
  const int levels = static_cast<int>(request.levels);
  const int entries = std::max(EntriesShift(request), 0);
  return std::max((entries + levels - 1) / levels + kEntryShift, kMinLevelShift);
}

// A window may be smaller than its page, as long as the sums of the kernel's unsigned numbers come
// out above 0.
bool IsTooSmall(const WindowRequest& request) {
  const int entries = EntriesShift(request);
  return entries < -kEntryShift ||
         (entries < 0 && request.levels > 1 && entries + static_cast<int>(request.levels) < 1);
}

// Twice the table, for there is one of user addresses beside the hardware's. The level on top
// counts first, each whole.
uint64_t PowerNvTableBytes(const PlatformProfile& profile, const WindowRequest& request) {
  if (request.levels == 0 || request.levels > profile.levels ||
      !std::has_single_bit(request.size) || IsTooSmall(request)) {
    return 0;
  }
  const uint64_t level = uint64_t{1} << std::min(LevelShift(request), 63);
  const int entries = std::max(EntriesShift(request), 0);
  uint64_t table = std::max(k4K, uint64_t{1} << std::min(entries + kEntryShift, 62));
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < request.levels; ++i) {
    bytes += std::max(table, level);
    table = std::max(table / level << kEntryShift, level);
  }
  return 2 * bytes;
}

ioas::Result<WindowPlan> PlanPowerNv(const PlatformProfile& profile, const WindowRequest& request) {
  const int level = LevelShift(request);
  if ((level - kEntryShift) * static_cast<int>(request.levels) +
          static_cast<int>(request.page_shift) >=
      kMaxAddressBits) {
    return Error{EINVAL, "the table would resolve more address bits than there are"};
  }
  if (level > kMaxLevelShift) {
    return Error{ENOMEM, "a level of the table is larger than can be allocated: use more levels"};
  }
  const uint64_t pages = uint64_t{1}
                         << std::max(EntriesShift(request), kMinLevelShift - kEntryShift);
  return WindowPlan{request.number == 0 ? 0 : profile.dynamic_start, pages};
}

// One level, of the size that is asked for; what more levels would take is not known.
uint64_t PSeriesTableBytes(const WindowRequest& request) {
  return request.levels > 1 ? UINT32_MAX : request.size >> (request.page_shift - kEntryShift);
}

// The default window, shrunk at will, is there only before the dynamic one, of which there is one.
ioas::Result<WindowPlan> PlanPSeries(const PlatformProfile& profile, const WindowRequest& request) {
  const uint64_t pages = request.size >> request.page_shift;
  if (!std::has_single_bit(request.size) || request.levels > 1 || pages == 0) {
    return Error{EINVAL, "the firmware has no such windows"};
  }
  if (request.number == 0 && request.other != OtherWindow::kNone) {
    return Error{EPERM, "the dynamic window is there already"};
  }
  if (request.number == 0 && IsDefaultWindow(profile, request.page_shift, request.size)) {
    return WindowPlan{0, pages};
  }
  if (request.other == OtherWindow::kDynamic) {
    return Error{ENODEV, "the firmware has one dynamic window"};
  }
  if (EntriesShift(request) + static_cast<int>(request.page_shift) >= kMaxAddressBits) {
    return Error{EINVAL, "the firmware has no room for a window as large"};
  }
  return WindowPlan{profile.dynamic_start, pages};
}

}  // namespace

PlatformProfile ProfileOf(PowerPlatform kind, std::optional<uint64_t> tce64_start) {
  const bool is_powernv = kind == PowerPlatform::kPowerNv;
  return {.kind = kind,
          .default_size = 2 * k1G,
          .dynamic_start = tce64_start.value_or(kDynamicStart),
          .page_sizes = is_powernv ? k4K | k64K | k2M | k1G : k4K | k64K | k2M,
          .windows = 2,
          .levels = is_powernv ? 5u : 1u};
}

uint64_t TableBytes(const PlatformProfile& profile, const WindowRequest& request) {
  return profile.kind == PowerPlatform::kPowerNv ? PowerNvTableBytes(profile, request)
                                                 : PSeriesTableBytes(request);
}

ioas::Result<WindowPlan> PlanWindow(const PlatformProfile& profile, const WindowRequest& request) {
  return profile.kind == PowerPlatform::kPowerNv ? PlanPowerNv(profile, request)
                                                 : PlanPSeries(profile, request);
}

bool IsDefaultWindow(const PlatformProfile& profile, uint32_t page_shift, uint64_t size) {
  return page_shift == kDefaultPageShift && size <= profile.default_size;
}

bool CanShareWindows(const PlatformProfile& profile) {
  return profile.kind == PowerPlatform::kPowerNv;
}

}  // namespace ppc
