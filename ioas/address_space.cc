#include "ioas/address_space.h"

#include <algorithm>

namespace ioas {
namespace {

// Cuts `reserved` out of the `count` ranges in `ranges`. Returns how many are left.
uint32_t Cut(std::span<IovaRange> ranges, uint32_t count, const IovaRange& reserved) {
  uint32_t kept = 0;
  IovaRange pieces[kMaxUsableRanges];
  for (const IovaRange& range : ranges.first(count)) {
    if (!range.Overlaps(reserved)) {
      pieces[kept++] = range;
      continue;
    }
    if (range.first < reserved.first) pieces[kept++] = {range.first, reserved.first - 1};
    if (range.last > reserved.last) pieces[kept++] = {reserved.last + 1, range.last};
  }
  std::copy_n(pieces, kept, ranges.begin());
  return kept;
}

// Leaves of the `count` ranges in `ranges` what lies in `allowed`, which ascend too. Returns how
// many are left.
uint32_t Intersect(std::span<IovaRange> ranges, uint32_t count,
                   std::span<const IovaRange> allowed) {
  uint32_t kept = 0;
  IovaRange pieces[kMaxUsableRanges];
  for (const IovaRange& range : ranges.first(count)) {
    for (const IovaRange& other : allowed) {
      if (!range.Overlaps(other)) continue;
      pieces[kept++] = {std::max(range.first, other.first), std::min(range.last, other.last)};
    }
  }
  std::copy_n(pieces, kept, ranges.begin());
  return kept;
}

}  // namespace

Result<ArenaRef<AddressSpaceState>> AddressSpace::Create(Arena& arena, const IommuProperties& iommu,
                                                         uint32_t mapping_limit) {
  Result<ArenaRef<AddressSpaceState>> state = arena.New<AddressSpaceState>();
  if (!state.ok()) return state;
  arena.Get(*state)->mutex.Initialize();
  AddressSpace(arena, *state).Configure(iommu, mapping_limit);
  return state;
}

void AddressSpace::Configure(const IommuProperties& iommu, uint32_t mapping_limit) {
  state_->mapping_limit = mapping_limit;
  state_->statistics = {};
  SetProperties(iommu);
}

void AddressSpace::SetProperties(const IommuProperties& iommu) {
  state_->page_sizes = iommu.page_sizes;
  state_->is_carried_out = 1;
  state_->has_windows_anywhere = iommu.has_windows_anywhere ? 1 : 0;
  state_->aperture_count =
      static_cast<uint32_t>(std::min<size_t>(iommu.apertures.size(), kMaxApertures));
  std::copy_n(iommu.apertures.begin(), state_->aperture_count, state_->apertures);
  state_->reserved_count =
      static_cast<uint32_t>(std::min<size_t>(iommu.reserved.size(), kMaxReservedRanges));
  for (uint32_t i = 0; i < state_->reserved_count; ++i) {
    state_->reserved[i] = {iommu.reserved[i], kIommuOwner};
  }
  FindUnreserved();
}

bool AddressSpace::Fits(const IommuProperties& iommu) {
  const auto is_reachable = [&iommu](const IovaRange& range) {
    return std::any_of(iommu.apertures.begin(), iommu.apertures.end(),
                       [&](const IovaRange& aperture) { return aperture.Contains(range); }) &&
           std::none_of(iommu.reserved.begin(), iommu.reserved.end(),
                        [&](const IovaRange& reserved) { return reserved.Overlaps(range); });
  };
  MappingIndex index = mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    if (!is_reachable({mapping->first, mapping->last})) return false;
  }
  for (uint32_t number = 0; number < kMaxWindows; ++number) {
    if (!HasWindow(number) || iommu.has_windows_anywhere) continue;
    const IovaRange& window = state_->window[number].range;
    if (!is_reachable({window.first, window.first}) || !is_reachable({window.last, window.last})) {
      return false;
    }
  }
  return true;
}

void AddressSpace::FindUnreserved() {
  uint32_t count = state_->aperture_count;
  std::copy_n(state_->apertures, count, state_->unreserved);
  for (const ReservedRange& reserved : std::span(state_->reserved, state_->reserved_count)) {
    count = Cut(state_->unreserved, count, reserved.range);
  }
  state_->unreserved_count = count;
}

void AddressSpace::Recover() {
  MappingIndex index = mappings();
  const bool is_valid = index.Validate();
  if (!is_valid || state_->is_changing != 0) {
    const IovaRange lost = is_valid ? state_->changing : IovaRange{0, UINT64_MAX};
    if (backend_ != nullptr) backend_->Discard(*handle_, lost);
    if (is_valid) {
      index.Erase(lost.first);
    } else {
      index.Clear();
    }
    ForgetPages(lost);
  }
  DestroyRemovedWindows();
  MarkAllDirty();
  FindUnreserved();
  state_->statistics.bytes_mapped = BytesMapped();
  state_->is_changing = 0;
}

uint64_t AddressSpace::BytesMapped() {
  uint64_t bytes = 0;
  MappingIndex index = mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    bytes += mapping->last - mapping->first + 1;
  }
  for (const WindowState& each : state_->window) {
    bytes += each.table.mapped << each.table.page_shift;
  }
  return bytes;
}

void AddressSpace::Destroy() {
  mappings().Clear();
  arena_->Delete(state_->allowed, state_->allowed_count);
  for (uint32_t number = 0; number < kMaxWindows; ++number) TableOf(number).Destroy();
  arena_->Delete(arena_->RefOf(state_));
  state_ = nullptr;
}

bool AddressSpace::IsInUsableRange(const IovaRange& range) const {
  const std::span<const IovaRange> usable(state_->unreserved, state_->unreserved_count);
  const auto above = std::ranges::upper_bound(usable, range.first, {}, &IovaRange::first);
  return above != usable.begin() && above[-1].Contains(range);
}

uint64_t AddressSpace::UnmapAll() {
  MappingIndex index = mappings();
  if (state_->is_carried_out != 0) {
    backend_->UnmapAll(*handle_, index);
  } else {
    for (auto kept = index.FindFirstOverlapping(0, UINT64_MAX); kept;
         kept = index.Next(kept->first)) {
      backend_->Forget(*handle_, *kept);
    }
  }
  const uint64_t bytes = state_->statistics.bytes_mapped;
  state_->statistics.unmaps += index.size();
  state_->statistics.bytes_mapped = 0;
  index.Clear();
  ClearDirtyPages();
  return bytes;
}

Result<Translation> AddressSpace::Translate(uint64_t iova, uint32_t access) {
  if (state_->windows != 0) [[unlikely]] {
    if (const auto number = FindWindow(iova)) return TranslateInWindow(*number, iova, access);
  }
  const std::optional<Mapping> mapping = mappings().FindContaining(iova);
  if (!mapping) return Error{ENOENT, "nothing is mapped at the IOVA"};
  if ((mapping->flags & access) == 0) {
    return Error{EACCES, "the mapping does not permit the access"};
  }
  return Translation{mapping->user_address + (iova - mapping->first), mapping->last - iova + 1,
                     mapping->owner, iova};
}

uint32_t AddressSpace::UsableRanges(std::span<IovaRange> ranges) const {
  uint32_t count = state_->unreserved_count;
  std::copy_n(state_->unreserved, count, ranges.begin());
  if (state_->has_limits != 0 && state_->limits.range_count != 0) {
    count = Intersect(ranges, count, {state_->limits.ranges, state_->limits.range_count});
  }
  return count;
}

Status AddressSpace::Reserve(const IovaRange& range, uint32_t owner) {
  if (mappings().FindFirstOverlapping(range.first, range.last)) {
    return Error{EADDRINUSE, "the range to reserve is mapped"};
  }
  if (std::ranges::any_of(std::span(arena_->Get(state_->allowed), state_->allowed_count),
                          [&](const IovaRange& allowed) { return allowed.Overlaps(range); })) {
    return Error{EADDRINUSE, "the range to reserve is to be kept allowed"};
  }
  if (state_->reserved_count == kMaxReservedRanges) {
    return Error{ENOSPC, "the address space holds as many reserved ranges as it may"};
  }
  state_->reserved[state_->reserved_count++] = {range, owner};
  FindUnreserved();
  return {};
}

void AddressSpace::Release(uint32_t owner) {
  ReservedRange* end = state_->reserved + state_->reserved_count;
  end = std::remove_if(state_->reserved, end,
                       [&](const ReservedRange& reserved) { return reserved.owner == owner; });
  state_->reserved_count = static_cast<uint32_t>(end - state_->reserved);
  FindUnreserved();
}

void AddressSpace::SetLimits(const MappingLimits& limits) {
  state_->limits = limits;
  state_->has_limits = limits.bytes != 0 || limits.mappings != 0 || limits.range_count != 0 ? 1 : 0;
}

uint32_t AddressSpace::MappingsLeft() const {
  const uint64_t mapped = state_->mappings.size;
  uint64_t limit = state_->mapping_limit;
  if (state_->has_limits != 0 && state_->limits.mappings != 0) {
    limit = std::min<uint64_t>(limit, state_->limits.mappings);
  }
  return static_cast<uint32_t>(limit - std::min(limit, mapped));
}

Status AddressSpace::CheckLimits(const IovaRange& range, uint64_t mappings, uint64_t bytes) const {
  const MappingLimits& limits = state_->limits;
  if (limits.mappings != 0 && state_->live_mappings() + mappings > limits.mappings) {
    return Error{ENOSPC, "an operator has limited how many mappings there may be"};
  }
  const IovaRange* const end = limits.ranges + limits.range_count;
  if (limits.range_count != 0 && std::none_of(limits.ranges, end, [&](const IovaRange& allowed) {
        return allowed.Contains(range);
      })) {
    return Error{EINVAL, "an operator has limited where mappings may lie"};
  }
  const uint64_t mapped = state_->statistics.bytes_mapped;
  if (limits.bytes != 0 && (mapped > limits.bytes || bytes > limits.bytes - mapped)) {
    return Error{ENOMEM, "an operator has limited how much may be mapped"};
  }
  return {};
}

}  // namespace ioas
