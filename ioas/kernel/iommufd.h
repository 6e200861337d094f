// The calls of /dev/iommu: I/O address spaces (IOASes), page tables (HWPTs) and what the hardware
// can do.
//
// Objects of one open /dev/iommu have numbers, which AllocIoas, AllocHwpt and Cdev::Bind return.
// All of them end with its last descriptor. Each call either does what it says or fails and changes
// nothing, unless it says otherwise. Errors are the kernel's; those that all calls may give are
// EBADF (not a descriptor), ENOTTY (not /dev/iommu's, or a kernel that does not have the call),
// ENOENT (no object of that number, or one of another kind) and ENOMEM; only others are named
// below. A call that is interrupted is made again (see device_call.h).
#ifndef IOAS_KERNEL_IOMMUFD_H_
#define IOAS_KERNEL_IOMMUFD_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/backend.h"
#include "ioas/base/result.h"
#include "ioas/kernel/device_call.h"
#include "ioas/kernel/system_calls.h"
#include "ioas/range.h"

namespace ioas::kernel {

// An IOVA in one of the address spaces.
struct IoasAddress {
  uint32_t ioas;
  uint64_t iova;
};

// What IovaRanges found.
struct RangeSummary {
  uint32_t count;      // ranges that there are, be they more than were asked for
  uint64_t alignment;  // of IOVAs, addresses and lengths, in bytes; 1 while nothing is attached
};

// What a page table is to be.
struct HwptRequest {
  uint32_t device;         // the number that Cdev::Bind returned
  uint32_t parent;         // the IOAS that it holds; for a nested one the HWPT beneath it
  uint32_t flags = 0;      // abi::iommufd::kHwptAlloc...
  uint32_t data_type = 0;  // abi::iommufd::kHwptData..., none unless there is data
  std::span<const std::byte> data = {};  // what hardware of that kind wants to know
};

// What the IOMMU that a device is behind can do.
struct HardwareInfo {
  uint32_t data_type;      // abi::iommufd::kHwInfoType...
  uint32_t data_length;    // bytes of data that the kernel has, be they more than were asked for
  uint64_t capabilities;   // abi::iommufd::kHwCap...
  uint8_t max_pasid_log2;  // 0: no PASIDs

  // Whether page tables can record which pages the device writes.
  bool can_track_dirty_pages() const;
};

// A stretch of IOVAs whose dirty pages are wanted, and where to put them.
struct DirtyRange {
  uint64_t iova;
  uint64_t length;  // bytes
  uint64_t
      page_size;    // bytes that one bit stands for; a power of 2. IOVA and length are multiples.
  uint64_t bitmap;  // address of 64-bit words in this process
};

// A view: it does not own the descriptor.
class Iommufd {
 public:
  // Opens /dev/iommu, close-on-exec: a set of objects of its own. ENOENT where the kernel has none,
  // EACCES, EMFILE and the like (iommufd_fops_open in drivers/iommu/iommufd/main.c).
  static Result<OwnedDescriptor> Open(SystemCalls& calls);

  // `calls` outlives it.
  Iommufd(SystemCalls& calls, int fd) : calls_(&calls), fd_(fd) {}

  int fd() const { return fd_; }

  // Makes an IOAS: no mappings, nothing reserved (iommufd_ioas_alloc_ioctl in ioas.c).
  Result<uint32_t> AllocIoas() const;
  // Ends an IOAS, with its mappings, or a page table. EBUSY while something uses it
  // (iommufd_destroy in main.c).
  Status Destroy(uint32_t object) const;

  // Makes `ioas` the one that legacy calls on this descriptor mean, PageSizes and
  // EnforcesCacheCoherency among them (iommufd_vfio_ioas in vfio_compat.c).
  Status SetCompatIoas(uint32_t ioas) const;
  // Returns that IOAS. ENODEV if there is none.
  Result<uint32_t> GetCompatIoas() const;

  // Says where mappings without an IOVA of their own may be put, and keeps devices' reserved ranges
  // out of there; none: anywhere. EINVAL if a range has one address or fewer or meets another,
  // EADDRINUSE if one meets a reserved range (iommufd_ioas_allow_iovas in ioas.c).
  Status AllowIovas(uint32_t ioas, std::span<const IovaRange> ranges) const;
  // Finds what can be mapped: everything but the attached devices' reserved ranges, ascending. As
  // many as fit are left in `ranges`, which may be empty (iommufd_ioas_iova_ranges in ioas.c).
  Result<RangeSummary> IovaRanges(uint32_t ioas, std::span<IovaRange> ranges) const;

  // Maps `length` bytes of the calling process's memory at `user_address` for `access` (Access
  // bits, at least one). The memory is pinned while a device is attached. EINVAL: not aligned,
  // empty, or in a reserved range; EOVERFLOW: it wraps; EEXIST: a part is mapped already; EFAULT:
  // not memory, or not of that kind; ENOMEM: beyond the locked-memory limit (iommufd_ioas_map in
  // ioas.c, iopt_map_user_pages in io_pagetable.c, pages.c).
  Status Map(const IoasAddress& to, uint64_t user_address, uint64_t length, uint32_t access) const;
  // The same at an IOVA of the kernel's choice, which it returns. ENOSPC if there is no room.
  Result<uint64_t> MapAnywhere(uint32_t ioas, uint64_t user_address, uint64_t length,
                               uint32_t access) const;
  // Maps `length` bytes of the file `fd` from `offset` on: a memfd, or a DMA-BUF where the kernel
  // takes one. ENOTTY before Linux 6.13 (iommufd_ioas_map_file).
  Status MapFile(const IoasAddress& to, int fd, uint64_t offset, uint64_t length,
                 uint32_t access) const;
  // Has the calling process answer for all that is pinned (locked memory), instead of those that
  // mapped it. EINVAL unless all mappings are files', ENOMEM beyond the locked-memory limit. ENOTTY
  // before Linux 6.13 (iommufd_ioas_change_process in ioas.c).
  Status ChangeProcess() const;
  // Maps at `to` what `length` bytes at `from` lead to, in the same /dev/iommu, sharing what is
  // pinned. ENOENT if a part of it is not mapped, EPERM if `access` writes what was mapped for
  // reading; otherwise as Map (iommufd_ioas_copy in ioas.c).
  Status Copy(const IoasAddress& to, const IoasAddress& from, uint64_t length,
              uint32_t access) const;
  // Unmaps the mappings in `length` bytes at `from`. Returns how many bytes that were. ENOENT if
  // there are none, or if one of them is not wholly inside; those before it are then unmapped.
  // IOVA 0 and a length of ~0 mean all there are, be it none (iommufd_ioas_unmap in ioas.c).
  Result<uint64_t> Unmap(const IoasAddress& from, uint64_t length) const;

  // Of the compat IOAS: as Map, by the call of type 1, which costs the kernel less
  // (iommufd_vfio_map_dma in vfio_compat.c).
  Status MapCompat(uint64_t iova, uint64_t user_address, uint64_t length, uint32_t access) const;
  // Of the compat IOAS: unmaps what is mapped in `length` bytes from `iova` on, be it nothing, and
  // cuts mappings that lie across the ends. They have to be cut where the smallest pages end, and
  // the IOAS maps with such only (kOptionHugePages): EINVAL. ENOMEM (iommufd_vfio_unmap_dma in
  // vfio_compat.c).
  Status CutAndUnmap(uint64_t iova, uint64_t length) const;

  // Makes a page table that holds the mappings of an IOAS, to attach devices to. It lives until
  // Destroy, and keeps the memory pinned. EOPNOTSUPP if the hardware does not have what the flags
  // ask for, EINVAL if the parent is neither (iommufd_hwpt_alloc in hw_pagetable.c).
  Result<uint32_t> AllocHwpt(const HwptRequest& request) const;
  // Describes the IOMMU that `device` is behind; what is particular to its kind is left in `data`,
  // which may be empty, zero-filled (iommufd_get_hw_info in device.c). ENOTTY before Linux 6.6.
  Result<HardwareInfo> GetHwInfo(uint32_t device, std::span<std::byte> data) const;

  // Begins to record dirty pages, none of them dirty yet, or ends it. EOPNOTSUPP if the page table
  // was not made with kHwptAllocDirtyTracking (iommufd_hwpt_set_dirty_tracking).
  Status SetDirtyTracking(uint32_t hwpt, bool enable) const;
  // Sets the bits of pages that were written, and leaves those of others; with `clear` they count
  // as clean from then on. EINVAL if the range is empty or not aligned, or, in some versions, if
  // it is not all mapped or recording is off (iommufd_hwpt_get_dirty_bitmap,
  // __iommu_read_and_clear_dirty in io_pagetable.c).
  Status GetDirtyBitmap(uint32_t hwpt, const DirtyRange& range, bool clear) const;

  // Sets an option (abi::iommufd::kOption...) of `object`. kOptionRlimitMode, object 0: 1 counts
  // locked memory by process as type 1 does, 0 by user; EPERM without CAP_SYS_RESOURCE, EBUSY once
  // there are objects. kOptionHugePages, an IOAS: 0 uses the smallest pages only, EINVAL if
  // something is mapped (iommufd_option in main.c, ioas.c).
  Status SetOption(uint32_t option, uint32_t object, uint64_t value) const;
  Result<uint64_t> GetOption(uint32_t option, uint32_t object) const;

  // Of the compat IOAS, by legacy calls. ENODEV if there is none.
  //
  // A bit for each page size that all its page tables can map (iommufd_get_pagesizes in
  // vfio_compat.c): right from the first attach on.
  Result<uint64_t> PageSizes() const;
  // Whether none of its page tables lets devices get past the caches (iommufd_vfio_cc_iommu in
  // vfio_compat.c); true while there are none.
  Result<bool> EnforcesCacheCoherency() const;

 private:
  // Makes a call of iommufd's own: `structure` begins with its size, which is filled in.
  template <typename Structure>
  Status Call(uint32_t request, Structure& structure, const char* refusal) const;

  SystemCalls* calls_;
  int fd_;
};

static_assert(kAccessRead == compat::abi::kDmaMapFlagRead &&
              kAccessWrite == compat::abi::kDmaMapFlagWrite);

// Inline, since they are the calls that are made most.
inline Status Iommufd::MapCompat(uint64_t iova, uint64_t user_address, uint64_t length,
                                 uint32_t access) const {
  compat::abi::DmaMap call = {
      .argsz = sizeof(call), .flags = access, .vaddr = user_address, .iova = iova, .size = length};
  const long result = DeviceCall(*calls_, fd_, compat::abi::kIommuMapDma, &call);
  if (result < 0) return Error{static_cast<int>(-result), "the kernel does not map the memory"};
  return {};
}

inline Status Iommufd::CutAndUnmap(uint64_t iova, uint64_t length) const {
  compat::abi::DmaUnmap call = {.argsz = sizeof(call), .flags = 0, .iova = iova, .size = length};
  const long result = DeviceCall(*calls_, fd_, compat::abi::kIommuUnmapDma, &call);
  if (result < 0) return Error{static_cast<int>(-result), "the kernel does not unmap the range"};
  return {};
}

}  // namespace ioas::kernel

#endif  // IOAS_KERNEL_IOMMUFD_H_
