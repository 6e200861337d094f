#include "ioas/kernel/dirty_tracking.h"

#include <algorithm>

#include "compat/abi/iommufd.h"

namespace ioas::kernel {
namespace {

// Kernels before 6.7 cannot say, nor track.
bool CanTrack(const Iommufd& iommufd, uint32_t device) {
  const Result<HardwareInfo> info = iommufd.GetHwInfo(device, {});
  return info.ok() && info->can_track_dirty_pages();
}

}  // namespace

Result<uint32_t> DirtyTracking::AttachToNewTable(const Cdev& cdev, uint32_t device) {
  if (tables_->count == TrackingTables::kMax) {
    return Error{ENOSPC, "the address space has as many page tables as it may"};
  }
  const Result<uint32_t> made = iommufd_.AllocHwpt(
      {.device = device, .parent = ioas_, .flags = compat::abi::iommufd::kHwptAllocDirtyTracking});
  if (!made.ok()) return made;
  Result<uint32_t> attached = cdev.Attach(*made);
  if (attached.ok()) {
    tables_->hwpts[tables_->count++] = *made;
  } else {
    (void)iommufd_.Destroy(*made);
  }
  return attached;
}

Result<uint32_t> DirtyTracking::Attach(const Cdev& cdev, uint32_t device) {
  if (!CanTrack(iommufd_, device)) {
    Result<uint32_t> attached = cdev.Attach(ioas_);
    if (attached.ok()) tables_->has_untracked = 1;
    return attached;
  }
  for (const uint32_t hwpt : hwpts()) {
    Result<uint32_t> attached = cdev.Attach(hwpt);
    if (attached.ok() || attached.error().code != EINVAL) return attached;
  }
  return AttachToNewTable(cdev, device);
}

void DirtyTracking::DestroyUnused() {
  uint32_t* const end = std::remove_if(tables_->hwpts, tables_->hwpts + tables_->count,
                                       [&](uint32_t hwpt) { return iommufd_.Destroy(hwpt).ok(); });
  tables_->count = static_cast<uint32_t>(end - tables_->hwpts);
}

Status DirtyTracking::Start() const {
  for (const uint32_t hwpt : hwpts()) {
    if (Status started = iommufd_.SetDirtyTracking(hwpt, true); !started.ok()) {
      Stop();
      return started;
    }
  }
  return {};
}

void DirtyTracking::Stop() const {
  for (const uint32_t hwpt : hwpts()) (void)iommufd_.SetDirtyTracking(hwpt, false);
}

Status DirtyTracking::ReadAndClear(const DirtyRange& range) const {
  for (const uint32_t hwpt : hwpts()) {
    IOAS_RETURN_IF_ERROR(iommufd_.GetDirtyBitmap(hwpt, range, true));
  }
  return {};
}

}  // namespace ioas::kernel
