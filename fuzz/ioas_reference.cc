#include "fuzz/ioas_reference.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <span>

namespace fuzz {

using ioas::IovaRange;
using ioas::Mapping;

namespace {

constexpr uint64_t kSmallestPage = 4096;

std::span<const IovaRange> LimitRanges(const ioas::MappingLimits& limits) {
  return {limits.ranges, limits.range_count};
}

// The index of the range that `iova` lies in; -1: in none of them.
int IndexOf(std::span<const IovaRange> ranges, uint64_t iova) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].first <= iova && iova <= ranges[i].last) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

bool ReferenceSpace::IsUsable(const IovaRange& range) const {
  for (const ioas::ReservedRange& each : reserved) {
    if (each.range.first <= range.last && range.first <= each.range.last) return false;
  }
  const int aperture = IndexOf(apertures, range.first);
  return aperture >= 0 && aperture == IndexOf(apertures, range.last);
}

std::vector<IovaRange> ReferenceSpace::UsableRanges() const {
  std::set<uint64_t> starts = {0};
  const auto add = [&](const IovaRange& range) {
    starts.insert(range.first);
    if (range.last != UINT64_MAX) starts.insert(range.last + 1);
  };
  for (const IovaRange& range : apertures) add(range);
  for (const ioas::ReservedRange& each : reserved) add(each.range);
  for (const IovaRange& range : LimitRanges(limits)) add(range);

  std::vector<IovaRange> usable;
  int aperture_before = -1;
  int limit_before = -1;
  for (auto start = starts.begin(); start != starts.end(); ++start) {
    const auto next = std::next(start);
    const uint64_t last = next == starts.end() ? UINT64_MAX : *next - 1;
    const int limit = limits.range_count == 0 ? 0 : IndexOf(LimitRanges(limits), *start);
    const int aperture = IsUsable({*start, *start}) && limit >= 0 ? IndexOf(apertures, *start) : -1;
    if (aperture >= 0 && aperture == aperture_before && limit == limit_before) {
      usable.back().last = last;
    } else if (aperture >= 0) {
      usable.push_back({*start, last});
    }
    aperture_before = aperture;
    limit_before = limit;
  }
  return usable;
}

bool ReferenceSpace::IsPlaceFor(uint64_t first, uint64_t size) const {
  const uint64_t last = first + (size - 1);
  if (first % size != 0 || last < first) return false;
  for (const auto& window : windows) {
    if (window && window->range.first <= last && first <= window->range.last) return false;
  }
  if (FindMapping({first, last}) != nullptr) return false;
  if (has_windows_anywhere) return true;
  const std::vector<IovaRange> usable = UsableRanges();
  const int index = IndexOf(usable, first);
  return index >= 0 && index == IndexOf(usable, last);
}

const Mapping* ReferenceSpace::FindMapping(const IovaRange& range) const {
  for (const auto& [first, mapping] : mappings) {
    if (first <= range.last && range.first <= mapping.last) return &mapping;
  }
  return nullptr;
}

uint32_t ReferenceSpace::FindWindow(uint64_t iova) const {
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
    const auto& window = windows[number];
    if (window && window->range.first <= iova && iova <= window->range.last) return number;
  }
  return ioas::kMaxWindows;
}

uint64_t ReferenceSpace::LiveMappings() const {
  uint64_t live = mappings.size();
  for (const auto& window : windows) live += window ? window->pages.size() : 0;
  return live;
}

uint64_t ReferenceSpace::BytesMapped() const {
  uint64_t bytes = 0;
  for (const auto& [first, mapping] : mappings) bytes += mapping.last - first + 1;
  for (const auto& window : windows) {
    if (window) bytes += window->pages.size() * window->page_size();
  }
  return bytes;
}

uint32_t ReferenceSpace::MappingsLeft() const {
  const uint64_t limit =
      limits.mappings == 0 ? mapping_limit : std::min(mapping_limit, limits.mappings);
  return limit > mappings.size() ? static_cast<uint32_t>(limit - mappings.size()) : 0;
}

int ReferenceSpace::LimitsErrno(const IovaRange& range, uint64_t more, uint64_t bytes) const {
  if (limits.mappings != 0 && LiveMappings() + more > limits.mappings) return ENOSPC;
  if (limits.range_count != 0) {
    const int index = IndexOf(LimitRanges(limits), range.first);
    if (index < 0 || index != IndexOf(LimitRanges(limits), range.last)) return EINVAL;
  }
  const uint64_t mapped = BytesMapped();
  if (limits.bytes != 0 && (mapped > limits.bytes || limits.bytes - mapped < bytes)) return ENOMEM;
  return 0;
}

int ReferenceSpace::MapErrno(const Mapping& mapping) const {
  const IovaRange range = {mapping.first, mapping.last};
  if (FindMapping(range) != nullptr) return EEXIST;
  if (mappings.size() >= mapping_limit) return ENOSPC;
  if (!IsUsable(range)) return EINVAL;
  return LimitsErrno(range, 1, range.last - range.first + 1);
}

int ReferenceSpace::MapRunErrno(const ReferenceWindow& window, const ioas::PageRun& run) const {
  if (!IsReachable(run.iovas)) return EINVAL;
  uint64_t more = 0;
  for (uint64_t iova = run.iovas.first;; iova += window.page_size()) {
    more += window.pages.count(iova) == 0 ? 1 : 0;
    if (run.iovas.last - iova < window.page_size()) break;
  }
  return LimitsErrno(run.iovas, more, more * window.page_size());
}

int ReferenceSpace::AddWindowErrno(uint64_t first, uint64_t pages, uint32_t page_shift) const {
  const auto bytes = static_cast<unsigned __int128>(pages) << page_shift;
  constexpr unsigned __int128 kLargest = UINT64_MAX;
  // A window's size is a number of 64 bits: no window is all of the address space.
  if (page_shift < 12 || bytes > kLargest || first + bytes > kLargest + 1) return EINVAL;
  const IovaRange range = {first, first + static_cast<uint64_t>(bytes - 1)};
  for (const auto& window : windows) {
    if (window && window->range.Overlaps(range)) return ENOSPC;
  }
  const bool is_reached =
      IsReachable({range.first, range.first}) && IsReachable({range.last, range.last});
  return is_reached ? 0 : ENOSPC;
}

std::optional<Mapping> ReferenceSpace::FindRun(const ReferenceWindow& window, uint64_t iova,
                                               uint64_t last) {
  std::optional<Mapping> run;
  for (const auto& [first, page] : window.pages) {
    const uint64_t end = first + (window.page_size() - 1);
    if (end < iova || first > last) continue;
    if (!run) {
      run = Mapping{.first = first,
                    .last = end,
                    .user_address = page.user_address,
                    .owner = window.process,
                    .flags = page.access};
      continue;
    }
    const uint64_t expected = run->user_address + (first - run->first);
    if (run->last + 1 != first || page.access != run->flags || page.user_address != expected) break;
    run->last = end;
  }
  return run;
}

std::vector<uint64_t> ReferenceSpace::TakePages(ReferenceWindow& window, const IovaRange& iovas) {
  std::vector<uint64_t> taken;
  const auto begin = window.pages.lower_bound(iovas.first);
  auto end = begin;
  for (; end != window.pages.end() && end->first <= iovas.last; ++end) {
    // In the smallest pages, so that runs are compared whatever they are cut into.
    for (uint64_t at = 0; at < window.page_size(); at += kSmallestPage) {
      taken.push_back(end->second.user_address + at);
    }
  }
  window.pages.erase(begin, end);
  return taken;
}

}  // namespace fuzz
