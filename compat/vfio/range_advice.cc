#include "compat/vfio/range_advice.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <span>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/decode/decode.h"

namespace compat::vfio {
namespace {

using ioas::IovaRange;

// No table has smaller pages.
constexpr uint64_t kSmallestWindow = 4096;

// What of a container's windows its devices reach.
class WindowRanges {
 public:
  explicit WindowRanges(ioas::AddressSpace& space) : space_(space) {
    if (space.state().has_windows_anywhere != 0) usable_[0] = {0, UINT64_MAX};
    usable_count_ = space.state().has_windows_anywhere != 0 ? 1 : space.UsableRanges(usable_);
  }

  // Calls `visit` with each range, ascending in each window.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
      if (!space_.HasWindow(number)) continue;
      const IovaRange& window = space_.window(number).range;
      for (const IovaRange& usable : std::span(usable_, usable_count_)) {
        if (!usable.Overlaps(window)) continue;
        visit(IovaRange{std::max(usable.first, window.first), std::min(usable.last, window.last)});
      }
    }
  }

 private:
  ioas::AddressSpace& space_;
  IovaRange usable_[ioas::kMaxUsableRanges];
  uint32_t usable_count_;
};

// Chooses for a mapping among ranges that it could be anywhere in.
class Choice {
 public:
  explicit Choice(const IovaRange& wanted) : wanted_(wanted) {}

  void Consider(const IovaRange& range) {
    if (range.Contains(wanted_)) is_inside_ = true;
    const IovaRange same_size = {range.first, range.first + (wanted_.last - wanted_.first)};
    const bool is_as_large = range.last - range.first >= wanted_.last - wanted_.first;
    if (!best_ || (is_as_large && !is_as_large_)) {
      best_ = is_as_large ? same_size : range;
      is_as_large_ = is_as_large;
    } else if (is_as_large) {
      // The lowest of those that are not below, or else of all.
      const auto order = [this](uint64_t first) { return first - wanted_.first; };
      if (order(range.first) < order(best_->first)) best_ = same_size;
    } else if (!is_as_large_ && range.last - range.first > best_->last - best_->first) {
      best_ = range;
    }
  }
  std::optional<RangeAdvice> advice() const {
    if (is_inside_) return std::nullopt;
    return RangeAdvice{wanted_, best_, is_as_large_};
  }

 private:
  IovaRange wanted_;
  std::optional<IovaRange> best_;
  bool is_as_large_ = false;
  bool is_inside_ = false;
};

std::optional<RangeAdvice> AdviseOnMapping(ioas::AddressSpace& space, const IovaRange& wanted) {
  // Type 1 never maps the last byte of all.
  constexpr uint64_t kHighest = UINT64_MAX - 1;
  if (wanted.last <= kHighest && space.IsUsable(wanted)) return std::nullopt;
  ioas::RangeRequest request = {.size = wanted.last - wanted.first + 1,
                                .alignment = space.page_size(),
                                .lowest = wanted.first,
                                .highest = kHighest};
  ioas::Result<IovaRange> found = space.FindRange(request);
  request.lowest = 0;
  if (!found.ok()) found = space.FindRange(request);
  if (found.ok()) return RangeAdvice{wanted, *found, true};
  return RangeAdvice{wanted, space.FindLargestRange(request), false};
}

std::optional<RangeAdvice> AdviseOnWindow(ioas::AddressSpace& space, uint64_t size) {
  const bool has_all = space.HasWindow(0) && space.HasWindow(1);
  if (has_all || !std::has_single_bit(size) || space.FindPlace(size).ok()) return std::nullopt;
  for (size >>= 1; size >= kSmallestWindow; size >>= 1) {
    const ioas::Result<uint64_t> place = space.FindPlace(size);
    if (place.ok()) return RangeAdvice{{}, IovaRange{*place, *place + (size - 1)}, false};
  }
  return RangeAdvice{};
}

bool IsSpapr(decode::ContainerType type) {
  return type == decode::ContainerType::kSpaprV1 || type == decode::ContainerType::kSpaprV2;
}

}  // namespace

std::optional<RangeAdvice> AdviseOn(const Host& host, uint32_t slot, const CallArguments& call,
                                    int error) {
  const decode::CallRow* const row = host.RowOf(slot, call.request);
  const FileMeaning file = host.files().slot(slot).Load();
  if (row == nullptr || file.kind != decode::DescriptorKind::kContainer) return std::nullopt;
  ioas::Arena arena = host.arena();
  const ContainerState& container = *arena.Get(ioas::ArenaRef<ContainerState>{file.object});
  const decode::DecodedCall decoded = {row, call.argument, &call.memory};
  ioas::AddressSpace space(arena, container.space);
  if (row->call == decode::Call::kIommuMapDma && (error == EINVAL || error == ENXIO)) {
    const auto map = decoded.CopyIn<abi::DmaMap>();
    if (!map.ok() || map->size == 0 || map->iova + (map->size - 1) < map->iova) return std::nullopt;
    const IovaRange wanted = {map->iova, map->iova + (map->size - 1)};
    const ioas::AddressSpace::Lock lock(space);
    if (container.type == decode::ContainerType::kNone) return std::nullopt;
    if (!IsSpapr(container.type)) return AdviseOnMapping(space, wanted);
    Choice choice(wanted);
    WindowRanges(space).ForEach([&choice](const IovaRange& range) { choice.Consider(range); });
    return choice.advice();
  }
  if (row->call == decode::Call::kSpaprTceCreate && error == ENOSPC) {
    const auto create = decoded.CopyIn<abi::SpaprTceCreate>();
    const ioas::AddressSpace::Lock lock(space);
    if (create.ok()) return AdviseOnWindow(space, create->window_size);
  }
  return std::nullopt;
}

}  // namespace compat::vfio
