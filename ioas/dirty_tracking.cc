// What devices write through the domains of an address space. Behaviour: iopt_set_dirty_tracking
// and __iommu_read_and_clear_dirty in drivers/iommu/iommufd/io_pagetable.c.
//
// While a domain tracks, all that is mapped has its bits reserved: a device's write cannot fail for
// memory, and cannot be forgotten.
#include <algorithm>
#include <cerrno>

#include "ioas/address_space.h"
#include "ioas/dirty_pages.h"
#include "ioas/domain.h"

namespace ioas {

template <typename Visit>
void AddressSpace::ForEachTrackingDomain(Visit visit) {
  for (const AddressSpaceDomain& each : std::span(state_->domains, state_->domain_count)) {
    if (!each.state) continue;
    DirtyPages pages(*arena_, &arena_->Get(each.state)->dirty);
    if (pages.is_tracking()) visit(pages);
  }
}

Status AddressSpace::ReserveDirtyPages(const IovaRange& range) {
  Status status;
  ForEachTrackingDomain([&](DirtyPages& pages) {
    if (status.ok()) status = pages.Reserve(range);
  });
  if (!status.ok()) ReleaseDirtyPages(range);
  return status;
}

void AddressSpace::ReleaseDirtyPages(const IovaRange& range) {
  ForEachTrackingDomain([&](DirtyPages& pages) { pages.Release(range, mappings()); });
}

void AddressSpace::ClearDirtyPages() {
  ForEachTrackingDomain([](DirtyPages& pages) { pages.Clear(); });
}

void AddressSpace::MarkAllDirty() {
  ForEachTrackingDomain([&](DirtyPages& pages) {
    MappingIndex index = mappings();
    for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
         mapping = index.Next(mapping->first)) {
      if ((mapping->flags & kAccessWrite) != 0) pages.Mark({mapping->first, mapping->last});
    }
  });
}

Status AddressSpace::TrackDirtyPages(ArenaRef<DomainState> domain, bool enable) {
  DirtyPages pages(*arena_, &arena_->Get(domain)->dirty);
  Status status;
  MappingIndex index = mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); enable && mapping && status.ok();
       mapping = index.Next(mapping->first)) {
    status = pages.Reserve({mapping->first, mapping->last});
  }
  if (enable && status.ok()) {
    pages.Start();
  } else {
    pages.Stop();
  }
  return status;
}

void AddressSpace::MarkDirty(ArenaRef<DomainState> domain, const IovaRange& range) {
  DirtyPages pages(*arena_, &arena_->Get(domain)->dirty);
  if (pages.is_tracking()) pages.Mark(range);
}

void AddressSpace::ReadDirtyPages(ArenaRef<DomainState> domain, const IovaRange& range, bool clear,
                                  DirtyPageSink& sink) {
  DirtyPages pages(*arena_, &arena_->Get(domain)->dirty);
  if (!pages.is_tracking()) return;
  uint64_t next = range.first;
  for (auto mapping = mappings().FindContaining(next); mapping;
       mapping = mappings().FindContaining(next)) {
    const uint64_t last = std::min(range.last, mapping->last);
    pages.Read({next, last}, clear, sink);
    if (last == range.last) return;
    next = last + 1;
  }
}

}  // namespace ioas
