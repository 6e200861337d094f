// What devices write: IOMMU_HWPT_SET_DIRTY_TRACKING and GET_DIRTY_BITMAP. Behaviour:
// drivers/iommu/iommufd/hw_pagetable.c, io_pagetable.c and iova_bitmap.c.
#include <algorithm>
#include <bit>
#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/native/calls.h"
#include "ioas/dirty_pages.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::AddressSpace;
using ioas::Error;
using ioas::IovaRange;
using ioas::Result;
using ioas::Status;

namespace {

constexpr Error kNoTracking = {EOPNOTSUPP, "the page table was not made to be tracked"};

// The caller's bitmap: a bit for each of the command's pages, which is set and never cleared. As
// with the kernel, what it has no memory for is lost, page of memory by page of memory, and the
// call does not tell.
class UserBitmap final : public ioas::DirtyPageSink {
 public:
  UserBitmap(decode::CallerMemory& memory, const iommufd::HwptGetDirtyBitmap& command)
      : memory_(memory),
        address_(command.data),
        first_(command.iova),
        shift_(static_cast<uint32_t>(std::countr_zero(command.page_size))) {}
  UserBitmap(const UserBitmap&) = delete;
  UserBitmap& operator=(const UserBitmap&) = delete;

  void OnWritten(const IovaRange& pages) override {
    const uint64_t last = (pages.last - first_) >> shift_;
    for (uint64_t bit = (pages.first - first_) >> shift_; bit <= last;) {
      const uint64_t byte_last = std::min(last, bit | 7);
      const uint32_t mask = (2u << (byte_last & 7)) - (1u << (bit & 7));
      SetBits(address_ + bit / 8, static_cast<uint8_t>(mask));
      bit = byte_last + 1;
    }
  }
  // To be called at the end.
  void Flush() {
    if (count_ == 0) return;
    std::byte there[kPage];
    const std::span<std::byte> bytes = std::span(there).first(count_);
    const uint64_t size = count_;
    count_ = 0;
    if (!memory_.Read(begin_, bytes).ok()) return;
    std::transform(bytes.begin(), bytes.end(), bits_, bytes.begin(),
                   [](std::byte one, std::byte other) { return one | other; });
    (void)memory_.Write(begin_, bytes.first(size));
  }

 private:
  static constexpr uint64_t kPage = 4096;

  // Bytes come in ascending order.
  void SetBits(uint64_t address, uint8_t mask) {
    if (count_ != 0 && address / kPage != begin_ / kPage) Flush();
    if (count_ == 0) begin_ = address;
    const uint64_t offset = address - begin_;
    while (count_ <= offset) bits_[count_++] = std::byte{0};
    bits_[offset] |= std::byte{mask};
  }

  decode::CallerMemory& memory_;
  uint64_t address_;
  uint64_t first_;
  uint32_t shift_;
  // What is to be set, inside one page of the caller's memory.
  uint64_t begin_ = 0;
  uint64_t count_ = 0;
  std::byte bits_[kPage];
};

// iommufd_check_iova_range.
Result<IovaRange> CheckRange(const AddressSpace& space,
                             const iommufd::HwptGetDirtyBitmap& command) {
  const Result<IovaRange> range = RangeOf(command.iova, command.length);
  if (!range.ok()) return range;
  const uint64_t ends = range->first | (range->last + 1);
  if (command.page_size == 0 || (ends & (space.page_size() - 1)) != 0 ||
      (ends & (command.page_size - 1)) != 0) {
    return Error{EINVAL, "the range is not whole pages"};
  }
  return range;
}

}  // namespace

Status HwptSetDirtyTracking(const Caller& caller, const decode::DecodedCall& call) {
  const auto command = call.CopyIn<iommufd::HwptSetDirtyTracking>();
  if (!command.ok()) return command.error();
  if ((command->flags & ~iommufd::kHwptDirtyTrackingEnable) != 0) {
    return Error{EOPNOTSUPP, "an unknown flag"};
  }
  Context context(caller);
  const HwptState* const hwpt = context.FindHwpt(command->hwpt_id);
  if (hwpt == nullptr) return kNoObject;
  if (hwpt->has_dirty_tracking == 0) return kNoTracking;
  AddressSpace space = context.SpaceOfHwpt(*hwpt);
  const AddressSpace::Lock lock(space);
  return space.TrackDirtyPages(hwpt->domain,
                               (command->flags & iommufd::kHwptDirtyTrackingEnable) != 0);
}

// The lock is held until all is written: an unmap comes before or after the whole.
Status HwptGetDirtyBitmap(const Caller& caller, const decode::DecodedCall& call) {
  const auto command = call.CopyIn<iommufd::HwptGetDirtyBitmap>();
  if (!command.ok()) return command.error();
  if ((command->flags & ~iommufd::kHwptGetDirtyBitmapNoClear) != 0 || command->reserved != 0) {
    return Error{EOPNOTSUPP, "a flag is not known, or a reserved field not 0"};
  }
  Context context(caller);
  const HwptState* const hwpt = context.FindHwpt(command->hwpt_id);
  if (hwpt == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOfHwpt(*hwpt);
  const AddressSpace::Lock lock(space);
  const Result<IovaRange> range = CheckRange(space, *command);
  if (!range.ok()) return range.error();
  if (hwpt->has_dirty_tracking == 0) return kNoTracking;
  UserBitmap bitmap(*call.memory, *command);
  const bool clear = (command->flags & iommufd::kHwptGetDirtyBitmapNoClear) == 0;
  space.ReadDirtyPages(hwpt->domain, *range, clear, bitmap);
  bitmap.Flush();
  return {};
}

}  // namespace compat::native
