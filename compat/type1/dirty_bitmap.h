// The dirty bitmaps of a type 1 container's mappings.
//
// While tracking is on, every mapping has a bitmap in the arena. What it says is simple: what the
// backend recorded, and where it records nothing, everything, as in the kernel, whose type 1 knows
// of no record. What it hands out is less simple: the kernel shifts a mapping's bitmap in place to
// where it lies in the caller's, and clears only the mapping's own bits afterwards, so a mapping
// that does not begin on a multiple of 64 pages of the range reports pages beyond its end the
// second time. Callers see those bits, so they are kept (update_user_bitmap in
// drivers/vfio/vfio_iommu_type1.c, bitmap_shift_left in lib/bitmap.c).
#ifndef COMPAT_TYPE1_DIRTY_BITMAP_H_
#define COMPAT_TYPE1_DIRTY_BITMAP_H_

#include <cstdint>

#include "compat/abi/vfio_container.h"
#include "compat/decode/caller_memory.h"
#include "compat/vfio/personality.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/mapping_index.h"

namespace compat::type1 {

// The largest bitmap that a caller may name, in bytes, and the most pages of a mapping.
inline constexpr uint64_t kMaxBitmapSize = uint64_t{1} << 28;
inline constexpr uint64_t kMaxBitmapPages = 0x7fffffff;

// Allocates a bitmap for `mapping` of pages of `page_size`. EINVAL for a mapping of more than
// kMaxBitmapPages, ENOMEM. Returns the arena unit.
ioas::Result<uint32_t> AllocateBitmap(ioas::Arena& arena, const ioas::Mapping& mapping,
                                      uint64_t page_size);
// Frees the bitmap of `mapping`, if it has one (Mapping::extra).
void FreeBitmap(ioas::Arena& arena, const ioas::Mapping& mapping, uint64_t page_size);

// A bitmap of the caller's, whose first bit is IOVA `base`'s.
struct CallersBitmap {
  decode::CallerMemory& memory;
  uint64_t address;
  uint64_t base;
  uint64_t page_size;
};
// Writes the part of `bitmap` that is `mapping`'s. EFAULT.
ioas::Status CopyOutBitmap(const vfio::ContainerContext& context, const ioas::Mapping& mapping,
                           const CallersBitmap& bitmap);
// Sets a bit in `words`, which are 0, for each page of `range`, all of which is mapped, that
// devices wrote, as far as that is known. What the backend recorded is taken.
void ReadBits(const vfio::ContainerContext& context, const ioas::IovaRange& range,
              uint64_t page_size, uint64_t* words);
// Marks the pages of `mapping` clean, after its bits were handed out.
void ClearBitmap(ioas::Arena& arena, const ioas::Mapping& mapping, uint64_t page_size);

// Checks a bitmap that a caller gave for `size` bytes: EINVAL if it lies outside the address space
// of programs, is too large, or too small for the pages.
ioas::Status CheckBitmap(const abi::Bitmap& bitmap, uint64_t size);

}  // namespace compat::type1

#endif  // COMPAT_TYPE1_DIRTY_BITMAP_H_
