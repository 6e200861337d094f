// Which pages devices wrote, where the hardware records it.
//
// The page tables that the kernel makes by itself, when a device is attached to an IOAS, record
// nothing. So a device whose IOMMU can is attached to one made for it instead.
#ifndef IOAS_KERNEL_DIRTY_TRACKING_H_
#define IOAS_KERNEL_DIRTY_TRACKING_H_

#include <cstdint>
#include <span>

#include "ioas/base/result.h"
#include "ioas/kernel/cdev.h"
#include "ioas/kernel/iommufd.h"
#include "ioas/tracking_tables.h"

namespace ioas::kernel {

// A view. Whoever holds the lock of the IOAS's container uses it.
class DirtyTracking {
 public:
  // `tables` belong to `ioas` of `iommufd`.
  DirtyTracking(const Iommufd& iommufd, uint32_t ioas, TrackingTables& tables)
      : iommufd_(iommufd), ioas_(ioas), tables_(&tables) {}

  // Attaches a device, which `device` is the number of and which is not attached yet, to the IOAS:
  // to a page table that tracks, if its IOMMU has such, one that is there if the device can use it;
  // otherwise to the IOAS itself. As the kernel does by itself, a page table that the device or its
  // group cannot use (EINVAL) is passed over (iommufd_device_auto_get_domain in device.c). Returns
  // the page table. Errors are Cdev::Attach's and Iommufd::AllocHwpt's.
  Result<uint32_t> Attach(const Cdev& cdev, uint32_t device);
  // Destroys the page tables that no device is attached to any more: they pin memory. Call it after
  // detaching.
  void DestroyUnused();

  // Whether a record of all that is written can be had.
  bool IsAvailable() const { return tables_->count != 0 && tables_->has_untracked == 0; }

  // Begins to record: nothing is dirty yet. If one page table cannot, none does. Errors are
  // Iommufd::SetDirtyTracking's.
  Status Start() const;
  void Stop() const;
  // Sets the bits of the pages that any device wrote since the last time. What is in the range has
  // to be mapped, all of it.
  Status ReadAndClear(const DirtyRange& range) const;

 private:
  std::span<const uint32_t> hwpts() const { return {tables_->hwpts, tables_->count}; }

  Result<uint32_t> AttachToNewTable(const Cdev& cdev, uint32_t device);

  Iommufd iommufd_;
  uint32_t ioas_;
  TrackingTables* tables_;
};

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_DIRTY_TRACKING_H_
