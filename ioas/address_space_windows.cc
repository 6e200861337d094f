// Windows: apertures whose pages lie in a page table.
#include <algorithm>
#include <atomic>

#include "ioas/address_space.h"
#include "ioas/address_space_map.h"

namespace ioas {
namespace {

// Nobody has to know.
class NoSink final : public PageRunSink {
 public:
  void OnRun(uint64_t /*user_address*/, uint64_t /*pages*/) override {}
};

}  // namespace

std::optional<uint32_t> AddressSpace::FindWindow(uint64_t iova) const {
  for (uint32_t number = 0; number < kMaxWindows; ++number) {
    if (HasWindow(number) && state_->window[number].range.Contains(iova)) return number;
  }
  return std::nullopt;
}

Status AddressSpace::AddWindow(uint32_t number, uint64_t first, uint64_t pages, uint32_t page_shift,
                               uint32_t process) {
  const uint64_t page_size = uint64_t{1} << page_shift;
  if (page_size < this->page_size()) {
    return Error{EINVAL, "the IOMMU has no pages as small as the window's"};
  }
  if (pages > UINT64_MAX >> page_shift || first + ((pages << page_shift) - 1) < first) {
    return Error{EINVAL, "the window wraps around, or is all there is"};
  }
  const IovaRange range = {first, first + ((pages << page_shift) - 1)};
  for (uint32_t other = 0; other < kMaxWindows; ++other) {
    if (HasWindow(other) && state_->window[other].range.Overlaps(range)) {
      return Error{ENOSPC, "another window is there"};
    }
  }
  // What is kept out of the space may lie inside: programs that know their window to start at 0
  // would not take another, and hardly any of them maps anything where x86 has its interrupts.
  if (!IsReachable({first, first}) || !IsReachable({range.last, range.last})) {
    return Error{ENOSPC, "the host's IOMMU does not reach there"};
  }
  WindowState& window = state_->window[number];
  window.range = range;
  window.process = process;
  TableOf(number).Initialize(pages, page_shift);
  std::atomic_ref(state_->windows).fetch_or(1u << number);
  return {};
}

// The window goes first and its nodes afterwards: a death in between leaves a table without a
// window, which DestroyRemovedWindows takes down.
void AddressSpace::RemoveWindow(uint32_t number, PageRunSink& gone) {
  if (!HasWindow(number)) return;
  const IovaRange range = state_->window[number].range;
  {
    const AddressSpaceChange change(*state_, range);
    (void)backend_->UnmapRange(*handle_, range);
    ClearPages(number, range, gone);
  }
  std::atomic_ref(state_->windows).fetch_and(~(1u << number));
  TableOf(number).Destroy();
}

Status AddressSpace::MapRun(uint32_t number, const PageRun& run, PageRunSink& gone) {
  const WindowState& window = state_->window[number];
  const uint32_t page_shift = window.table.page_shift;
  const uint64_t first = (run.iovas.first - window.range.first) >> page_shift;
  const uint64_t pages = ((run.iovas.last - run.iovas.first) >> page_shift) + 1;
  if (!IsReachable(run.iovas)) {
    return Error{EINVAL, "the host's IOMMU keeps a part of the range for itself"};
  }
  PageTable table = TableOf(number);
  if (state_->has_limits != 0) [[unlikely]] {
    NoSink nobody;
    const uint64_t more = pages - table.Walk(first, pages, nobody);
    IOAS_RETURN_IF_ERROR(CheckLimits(run.iovas, more, more << page_shift));
  }
  IOAS_RETURN_IF_ERROR(table.Reserve(first, pages));
  const AddressSpaceChange change(*state_, run.iovas);
  if (Status mapped = backend_->MapRun(*handle_, run); !mapped.ok()) {
    if (mapped.error().code != EFAULT) ClearPages(number, run.iovas, gone);
    return mapped;
  }
  const uint64_t replaced = table.Set(first, pages, {run.user_address, run.access}, gone);
  state_->statistics.maps += pages;
  state_->statistics.unmaps += replaced;
  state_->statistics.bytes_mapped += (pages - replaced) << page_shift;
  return {};
}

Status AddressSpace::UnmapRun(uint32_t number, const IovaRange& iovas, PageRunSink& gone) {
  const AddressSpaceChange change(*state_, iovas);
  IOAS_RETURN_IF_ERROR(backend_->UnmapRange(*handle_, iovas));
  ClearPages(number, iovas, gone);
  return {};
}

void AddressSpace::ClearPages(uint32_t number, const IovaRange& iovas, PageRunSink& gone) {
  const WindowState& window = state_->window[number];
  const uint32_t page_shift = window.table.page_shift;
  const uint64_t cleared =
      TableOf(number).Clear((iovas.first - window.range.first) >> page_shift,
                            ((iovas.last - iovas.first) >> page_shift) + 1, gone);
  state_->statistics.unmaps += cleared;
  state_->statistics.bytes_mapped -= cleared << page_shift;
}

void AddressSpace::ForgetPages(const IovaRange& iovas) {
  NoSink nobody;
  for (uint32_t number = 0; number < kMaxWindows; ++number) {
    const IovaRange& range = state_->window[number].range;
    if (!HasWindow(number) || !range.Overlaps(iovas)) continue;
    ClearPages(number, {std::max(range.first, iovas.first), std::min(range.last, iovas.last)},
               nobody);
    TableOf(number).Recount();
  }
}

void AddressSpace::DestroyRemovedWindows() {
  for (uint32_t number = 0; number < kMaxWindows; ++number) {
    if (!HasWindow(number)) TableOf(number).Destroy();
  }
}

Result<Translation> AddressSpace::TranslateInWindow(uint32_t number, uint64_t iova,
                                                    uint32_t access) const {
  const WindowState& window = state_->window[number];
  const uint64_t offset = iova - window.range.first;
  const uint64_t page_size = uint64_t{1} << window.table.page_shift;
  const PageEntry entry = TableOf(number).At(offset >> window.table.page_shift);
  if (entry.access == 0) return Error{ENOENT, "the window's page leads nowhere"};
  if ((entry.access & access) == 0) return Error{EACCES, "the page does not permit the access"};
  const uint64_t in_page = offset & (page_size - 1);
  return Translation{entry.user_address + in_page, page_size - in_page, window.process, iova};
}

std::optional<Mapping> AddressSpace::FindRun(uint32_t number, uint64_t iova, uint64_t last) const {
  const WindowState& window = state_->window[number];
  const uint32_t page_shift = window.table.page_shift;
  if (!window.range.Overlaps({iova, last})) return std::nullopt;
  const uint64_t start = (std::max(iova, window.range.first) - window.range.first) >> page_shift;
  const uint64_t end = ((std::min(last, window.range.last) - window.range.first) >> page_shift) + 1;
  const PageTable table = TableOf(number);
  const uint64_t first = table.NextMapped(start);
  if (first >= end) return std::nullopt;
  const PageEntry entry = table.At(first);
  uint64_t next = first + 1;
  for (; next < end; ++next) {
    const PageEntry other = table.At(next);
    const uint64_t expected = entry.user_address + ((next - first) << page_shift);
    if (other.access != entry.access || other.user_address != expected) break;
  }
  return Mapping{.first = window.range.first + (first << page_shift),
                 .last = window.range.first + (next << page_shift) - 1,
                 .user_address = entry.user_address,
                 .owner = window.process,
                 .flags = entry.access};
}

}  // namespace ioas
