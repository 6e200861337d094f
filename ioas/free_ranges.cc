// Ranges that are free, for those who ask where something could lie before they put it there.
#include <algorithm>
#include <bit>
#include <cerrno>

#include "ioas/address_space.h"

namespace ioas {
namespace {

// `range` from its first multiple of `alignment` on; nothing if there is none.
std::optional<IovaRange> AlignUp(const IovaRange& range, uint64_t alignment) {
  const uint64_t first = (range.first + (alignment - 1)) & -alignment;
  if (first < range.first || first > range.last) return std::nullopt;
  return IovaRange{first, range.last};
}

Status Check(const RangeRequest& request) {
  if (!std::has_single_bit(request.alignment)) {
    return Error{EINVAL, "the alignment is not a power of two"};
  }
  if (request.size == 0) return Error{EINVAL, "the size is 0"};
  return {};
}

}  // namespace

std::optional<IovaRange> AddressSpace::FindTaken(const IovaRange& range) {
  std::optional<IovaRange> taken;
  if (const auto mapping = mappings().FindFirstOverlapping(range.first, range.last)) {
    taken = IovaRange{mapping->first, mapping->last};
  }
  for (uint32_t number = 0; number < kMaxWindows; ++number) {
    const IovaRange& window = state_->window[number].range;
    if (!HasWindow(number) || !window.Overlaps(range)) continue;
    if (!taken || window.first < taken->first) taken = window;
  }
  return taken;
}

template <typename Visit>
void AddressSpace::ForEachGap(std::span<const IovaRange> reachable, const RangeRequest& request,
                              Visit visit) {
  const IovaRange limits = {request.lowest, request.highest};
  for (const IovaRange& range : reachable) {
    if (!range.Overlaps(limits)) continue;
    IovaRange rest = {std::max(range.first, limits.first), std::min(range.last, limits.last)};
    for (auto taken = FindTaken(rest);; taken = FindTaken(rest)) {
      const bool has_gap = !taken || taken->first > rest.first;
      if (has_gap) {
        const IovaRange gap = {rest.first, taken ? taken->first - 1 : rest.last};
        const auto aligned = AlignUp(gap, request.alignment);
        if (aligned && visit(*aligned)) return;
      }
      if (!taken || taken->last >= rest.last) break;
      rest.first = taken->last + 1;
    }
  }
}

Result<IovaRange> AddressSpace::FindRangeIn(std::span<const IovaRange> reachable,
                                            const RangeRequest& request) {
  IOAS_RETURN_IF_ERROR(Check(request));
  std::optional<IovaRange> found;
  ForEachGap(reachable, request, [&](const IovaRange& gap) {
    if (gap.last - gap.first >= request.size - 1) {
      found = IovaRange{gap.first, gap.first + (request.size - 1)};
    }
    return found.has_value();
  });
  if (found) return *found;
  return Error{ENOSPC, "nothing as large is free where devices reach"};
}

Result<IovaRange> AddressSpace::FindRange(const RangeRequest& request) {
  IovaRange ranges[kMaxUsableRanges];
  return FindRangeIn(std::span(ranges, UsableRanges(ranges)), request);
}

std::optional<IovaRange> AddressSpace::FindLargestRange(const RangeRequest& request) {
  if (!Check(request).ok()) return std::nullopt;
  IovaRange ranges[kMaxUsableRanges];
  std::optional<IovaRange> largest;
  ForEachGap(std::span(ranges, UsableRanges(ranges)), request, [&](const IovaRange& gap) {
    if (!largest || gap.last - gap.first > largest->last - largest->first) largest = gap;
    return false;
  });
  return largest;
}

size_t AddressSpace::FreeRanges(const IovaRange& limits, std::span<IovaRange> ranges) {
  IovaRange usable[kMaxUsableRanges];
  size_t count = 0;
  ForEachGap(std::span(usable, UsableRanges(usable)),
             {.size = 1, .lowest = limits.first, .highest = limits.last},
             [&](const IovaRange& gap) {
               if (count < ranges.size()) ranges[count] = gap;
               return ++count > ranges.size();
             });
  return count;
}

Result<uint64_t> AddressSpace::FindPlace(uint64_t size) {
  IovaRange ranges[kMaxUsableRanges] = {{0, UINT64_MAX}};
  const uint32_t count = state_->has_windows_anywhere != 0 ? 1 : UsableRanges(ranges);
  const Result<IovaRange> place =
      FindRangeIn(std::span(ranges, count), {.size = size, .alignment = size});
  if (!place.ok()) return place.error();
  return place->first;
}

}  // namespace ioas
