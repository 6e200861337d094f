#include "compat/type1/dirty_bitmap.h"

#include <bit>
#include <span>

namespace compat::type1 {
namespace {

constexpr uint64_t kWordBits = 64;
// access_ok() of x86-64: below the last page of the lower half of a 48-bit space.
constexpr uint64_t kLastUserAddress = (uint64_t{1} << 47) - 4096 - 1;

constexpr uint64_t WordsFor(uint64_t bits) { return (bits + kWordBits - 1) / kWordBits; }

uint64_t Pages(const ioas::Mapping& mapping, uint64_t page_size) {
  return (mapping.last - mapping.first + 1) / page_size;
}

// The kernel's extra word is for the shift.
uint64_t Words(const ioas::Mapping& mapping, uint64_t page_size) {
  return WordsFor(Pages(mapping, page_size)) + 1;
}

uint64_t* Bits(ioas::Arena& arena, const ioas::Mapping& mapping) {
  return arena.Get(ioas::ArenaRef<uint64_t>{mapping.extra});
}

void SetBits(uint64_t* words, uint64_t count, bool value) {
  const uint64_t fill = value ? ~uint64_t{0} : 0;
  const uint64_t whole = count / kWordBits;
  for (uint64_t i = 0; i < whole; ++i) words[i] = fill;
  if (count % kWordBits == 0) return;
  const uint64_t mask = (uint64_t{1} << count % kWordBits) - 1;
  words[whole] = (words[whole] & ~mask) | (fill & mask);
}

// Shifts `count` words up by `shift` bits, 1 to 63.
void ShiftUp(uint64_t* words, uint64_t count, unsigned shift) {
  for (uint64_t i = count; i-- > 0;) {
    const uint64_t below = i > 0 ? words[i - 1] >> (kWordBits - shift) : 0;
    words[i] = words[i] << shift | below;
  }
}

}  // namespace

ioas::Result<uint32_t> AllocateBitmap(ioas::Arena& arena, const ioas::Mapping& mapping,
                                      uint64_t page_size) {
  if (Pages(mapping, page_size) > kMaxBitmapPages) {
    return ioas::Error{EINVAL, "the mapping is too large for a dirty bitmap"};
  }
  return arena.Allocate(Words(mapping, page_size) * sizeof(uint64_t));
}

void FreeBitmap(ioas::Arena& arena, const ioas::Mapping& mapping, uint64_t page_size) {
  if (mapping.extra == 0) return;
  arena.Free(mapping.extra, Words(mapping, page_size) * sizeof(uint64_t));
}

void ReadBits(const vfio::ContainerContext& context, const ioas::IovaRange& range,
              uint64_t page_size, uint64_t* words) {
  if (context.container->is_dirty_recorded != 0 &&
      context.backend->ReadDirtyPages(context.handle, range, page_size, words)) {
    return;
  }
  SetBits(words, (range.last - range.first + 1) / page_size, true);
}

ioas::Status CopyOutBitmap(const vfio::ContainerContext& context, const ioas::Mapping& mapping,
                           const CallersBitmap& bitmap) {
  uint64_t* words = Bits(*context.arena, mapping);
  const uint64_t pages = Pages(mapping, bitmap.page_size);
  const uint64_t bit_offset = (mapping.first - bitmap.base) / bitmap.page_size;
  const unsigned shift = bit_offset % kWordBits;
  const uint64_t destination = bitmap.address + bit_offset / kWordBits * sizeof(uint64_t);
  const uint64_t count = WordsFor(pages + shift);

  SetBits(words, pages, false);
  ReadBits(context, {mapping.first, mapping.last}, bitmap.page_size, words);
  if (shift != 0) {
    ShiftUp(words, count, shift);
    // The word may hold bits of the mapping before this one.
    uint64_t there = 0;
    IOAS_RETURN_IF_ERROR(
        bitmap.memory.Read(destination, std::as_writable_bytes(std::span(&there, 1))));
    words[0] |= there;
  }
  return bitmap.memory.Write(destination, std::as_bytes(std::span(words, count)));
}

void ClearBitmap(ioas::Arena& arena, const ioas::Mapping& mapping, uint64_t page_size) {
  SetBits(Bits(arena, mapping), Pages(mapping, page_size), false);
}

ioas::Status CheckBitmap(const abi::Bitmap& bitmap, uint64_t size) {
  if (bitmap.data + bitmap.size < bitmap.data || bitmap.data + bitmap.size > kLastUserAddress) {
    return ioas::Error{EINVAL, "the bitmap lies outside the program's address space"};
  }
  // No page size is the largest shift, as the instruction behind the kernel's __ffs has it.
  const int page_shift = bitmap.pgsize == 0 ? 63 : std::countr_zero(bitmap.pgsize);
  const uint64_t pages = size >> page_shift;
  if (pages == 0 || bitmap.size == 0 || bitmap.size > kMaxBitmapSize ||
      bitmap.size < WordsFor(pages) * sizeof(uint64_t)) {
    return ioas::Error{EINVAL, "the bitmap's size does not fit its pages"};
  }
  return {};
}

}  // namespace compat::type1
