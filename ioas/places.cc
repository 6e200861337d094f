// Where mappings may lie, and those that are made of several pieces. Behaviour: iopt_alloc_iova,
// iopt_check_iova, iopt_map_pages and iopt_unmap_iova_range in
// drivers/iommu/iommufd/io_pagetable.c.
#include <algorithm>
#include <bit>
#include <cerrno>

#include "ioas/address_space.h"
#include "ioas/address_space_map.h"

namespace ioas {
namespace {

constexpr uint64_t kPageSize = 4096;
// Where memory may consist of huge pages, mappings begin so that the IOMMU can use them, too.
constexpr uint64_t kHugePageSize = uint64_t{1} << 21;

// `range` from its first multiple of `alignment`, with `offset` beside, on; nothing if `length`
// bytes do not fit there. As with the kernel, a range of one byte never does.
std::optional<IovaRange> Align(const IovaRange& range, uint64_t length, uint64_t alignment,
                               uint64_t offset) {
  if (range.first + (alignment - 1) < range.first) return std::nullopt;
  const uint64_t first = ((range.first + (alignment - 1)) & -alignment) | offset;
  if (first >= range.last || range.last - first < length - 1) return std::nullopt;
  return IovaRange{first, range.last};
}

}  // namespace

Result<uint64_t> AddressSpace::FindRoom(uint64_t length, uint64_t user_address) {
  if (length == 0 || length >= UINT64_MAX / 2) {
    return Error{EOVERFLOW, "no place can be that large"};
  }
  uint64_t alignment = std::bit_ceil(length);
  if (user_address != 0) alignment = std::min(alignment, user_address & -user_address);
  alignment = std::min(alignment, kHugePageSize);
  if (alignment < page_size()) return Error{EINVAL, "the memory is not aligned as pages are"};

  // 0 is never chosen: a program may take it for none.
  constexpr IovaRange kAll = {kPageSize, UINT64_MAX - kPageSize};
  const std::span<const IovaRange> allowed =
      state_->allowed_count != 0 ? std::span(arena_->Get(state_->allowed), state_->allowed_count)
                                 : std::span(&kAll, 1);
  const uint64_t offset = user_address % kPageSize;
  for (IovaRange range : allowed) {
    range = {std::max(range.first, kAll.first), std::min(range.last, kAll.last)};
    if (range.first > range.last) continue;
    const auto aligned = Align(range, length, alignment, offset);
    if (!aligned) continue;
    if (const auto place = FindRoomIn(*aligned, length, alignment, offset)) return *place;
  }
  return Error{ENOSPC, "no room in what is allowed and free"};
}

std::optional<uint64_t> AddressSpace::FindRoomIn(IovaRange range, uint64_t length,
                                                 uint64_t alignment, uint64_t offset) {
  MappingIndex index = mappings();
  for (const IovaRange& usable : std::span(state_->unreserved, state_->unreserved_count)) {
    if (!usable.Overlaps(range)) continue;
    IovaRange hole = {std::max(usable.first, range.first), std::min(usable.last, range.last)};
    for (auto next = index.FindFirstOverlapping(hole.first, hole.last);;
         next = index.FindFirstOverlapping(hole.first, hole.last)) {
      const uint64_t last = next ? next->first - 1 : hole.last;
      if (!next || next->first > hole.first) {
        const auto place = Align({hole.first, last}, length, alignment, offset);
        if (place) return place->first;
      }
      if (!next || next->last >= hole.last) break;
      hole.first = next->last + 1;
    }
  }
  return std::nullopt;
}

Status AddressSpace::CheckRoom(uint64_t first, uint64_t length) {
  if ((first & (page_size() - 1)) != 0)
    return Error{EINVAL, "the IOVA is not aligned as pages are"};
  const uint64_t last = first + (length - 1);
  if (last < first) return Error{EOVERFLOW, "the range wraps around"};
  if (!IsUsable({first, last})) return Error{EINVAL, "a part of the range is reserved"};
  if (mappings().FindFirstOverlapping(first, last)) {
    return Error{EEXIST, "a part of the range is mapped already"};
  }
  return {};
}

Status AddressSpace::CarryOut(const Mapping& mapping) {
  return state_->is_carried_out != 0 ? backend_->Map(*handle_, mapping)
                                     : backend_->Keep(*handle_, mapping);
}

Status AddressSpace::MapAll(std::span<const Mapping> pieces) {
  for (const Mapping& piece : pieces) {
    if ((piece.flags & kAccessWrite) != 0 && (piece.flags & kMayPermitWriting) == 0) {
      return Error{EPERM, "the memory was not mapped for writing at first"};
    }
    if ((piece.user_address & (page_size() - 1)) != 0) {
      return Error{EINVAL, "the memory is not aligned as pages are"};
    }
  }
  const IovaRange whole = {pieces.front().first, pieces.back().last};
  if (state_->has_limits != 0) [[unlikely]] {
    IOAS_RETURN_IF_ERROR(CheckLimits(whole, pieces.size(), whole.last - whole.first + 1));
  }
  IOAS_RETURN_IF_ERROR(ReserveDirtyPages(whole));
  size_t done = 0;
  Status status;
  for (; done < pieces.size() && status.ok(); ++done) {
    const AddressSpaceChange change(*state_, {pieces[done].first, pieces[done].last});
    status = CarryOut(pieces[done]);
    if (!status.ok()) break;
    status = mappings().Insert(pieces[done]);
    if (!status.ok()) (void)Undo(pieces[done]);
    if (!status.ok()) break;
    ++state_->statistics.maps;
    state_->statistics.bytes_mapped += pieces[done].last - pieces[done].first + 1;
  }
  if (!status.ok()) {
    for (const Mapping& piece : pieces.first(done)) (void)Unmap(piece);
    ReleaseDirtyPages(whole);
  }
  return status;
}

Status AddressSpace::CutAt(uint64_t last) {
  const auto whole = mappings().FindContaining(last);
  if (!whole || last == whole->first || last == whole->last) return {};
  Mapping left = *whole;
  left.last = last;
  Mapping right = *whole;
  right.first = last + 1;
  right.user_address += right.first - whole->first;
  if (((right.first | right.user_address) & (page_size() - 1)) != 0 ||
      (state_->is_carried_out != 0 && state_->small_pages_only == 0)) {
    return Error{EINVAL, "the mapping cannot be cut there"};
  }
  const AddressSpaceChange change(*state_, {whole->first, whole->last});
  mappings().Erase(whole->first);
  Status cut = mappings().Insert(left);
  if (cut.ok()) cut = mappings().Insert(right);
  if (!cut.ok()) {
    mappings().Erase(left.first);
    // There was room for it.
    (void)mappings().Insert(*whole);
    return cut;
  }
  if (state_->is_carried_out == 0) (void)backend_->Keep(*handle_, right);
  return {};
}

Status AddressSpace::UnmapWhole(const IovaRange& range, uint64_t& bytes) {
  for (auto mapping = mappings().FindFirstOverlapping(range.first, range.last); mapping;
       mapping = mappings().FindFirstOverlapping(range.first, range.last)) {
    if (!range.Contains(IovaRange{mapping->first, mapping->last})) {
      return Error{ENOENT, "a mapping lies in the range in part only"};
    }
    IOAS_RETURN_IF_ERROR(Unmap(*mapping));
    bytes += mapping->last - mapping->first + 1;
  }
  return {};
}

}  // namespace ioas
