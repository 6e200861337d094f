// Domains of an address space. Behaviour: iopt_table_add_domain, iopt_table_remove_domain and
// iopt_calculate_iova_alignment in drivers/iommu/iommufd/io_pagetable.c.
#include <algorithm>
#include <atomic>
#include <cerrno>

#include "ioas/address_space.h"
#include "ioas/domain.h"

namespace ioas {
namespace {

constexpr uint64_t kLargestSmallestPage = 4096;

uint64_t SmallestPage(uint64_t page_sizes) { return page_sizes & -page_sizes; }

}  // namespace

Result<ArenaRef<AddressSpaceState>> AddressSpace::CreateWithoutDomain(Arena& arena) {
  constexpr IovaRange kAll[] = {{0, UINT64_MAX}};
  const auto made = Create(arena, {.page_sizes = 1, .apertures = kAll, .reserved = {}}, UINT32_MAX);
  if (made.ok()) arena.Get(*made)->is_carried_out = 0;
  return made;
}

bool AddressSpace::IsAligned(uint64_t alignment) {
  MappingIndex index = mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    if (((mapping->first | (mapping->last + 1) | mapping->user_address) & (alignment - 1)) != 0) {
      return false;
    }
  }
  return true;
}

Status AddressSpace::ReserveOutside(std::span<const IovaRange> apertures, uint32_t owner) {
  uint64_t next = 0;
  for (const IovaRange& aperture : apertures) {
    if (aperture.first != next) {
      IOAS_RETURN_IF_ERROR(Reserve({next, aperture.first - 1}, owner));
    }
    if (aperture.last == UINT64_MAX) return {};
    next = aperture.last + 1;
  }
  return Reserve({next, UINT64_MAX}, owner);
}

Status AddressSpace::AddDomain(uint32_t owner, const IommuProperties& iommu,
                               ArenaRef<DomainState> state) {
  const uint64_t needed = std::max(SmallestPage(iommu.page_sizes), page_size());
  if (needed > kLargestSmallestPage) {
    return Error{EINVAL, "the IOMMU has no pages as small as the processor's"};
  }
  if (state_->domain_count == kMaxDomains) return Error{ENOMEM, "too many domains"};
  if (needed != page_size() && !IsAligned(needed)) {
    return Error{EADDRINUSE, "a mapping is not aligned as the IOMMU's pages are"};
  }
  Status added = ReserveOutside(iommu.apertures, owner);
  if (added.ok() && state_->is_carried_out == 0) added = CarryOutAll();
  if (!added.ok()) {
    Release(owner);
    return added;
  }
  if (state) {
    DirtyPages(*arena_, &arena_->Get(state)->dirty)
        .Initialize(iommu.apertures.back().last, SmallestPage(iommu.page_sizes));
  }
  state_->domains[state_->domain_count++] = {iommu.page_sizes, owner, state};
  FindPageSizes();
  return {};
}

void AddressSpace::RemoveDomain(uint32_t owner) {
  AddressSpaceDomain* const end = state_->domains + state_->domain_count;
  for (const AddressSpaceDomain& each : std::span(state_->domains, end)) {
    if (each.owner == owner && each.state) {
      DirtyPages(*arena_, &arena_->Get(each.state)->dirty).Stop();
    }
  }
  AddressSpaceDomain* const kept = std::remove_if(
      state_->domains, end, [&](const AddressSpaceDomain& each) { return each.owner == owner; });
  state_->domain_count = static_cast<uint32_t>(kept - state_->domains);
  if (state_->domain_count == 0 && state_->is_carried_out != 0) UndoAll();
  Release(owner);
  FindPageSizes();
}

Status AddressSpace::SetSmallPagesOnly(bool small) {
  if (small && state_->small_pages_only == 0 && state_->domain_count != 0 &&
      mappings().size() != 0) {
    return Error{EINVAL, "domains may hold large pages already"};
  }
  if (small && page_size() < kLargestSmallestPage && !IsAligned(kLargestSmallestPage)) {
    return Error{EADDRINUSE, "a mapping is not aligned as pages are"};
  }
  state_->small_pages_only = small ? 1 : 0;
  FindPageSizes();
  return {};
}

void AddressSpace::FindPageSizes() {
  uint64_t sizes = ~uint64_t{0};
  uint64_t smallest = state_->small_pages_only != 0 ? kLargestSmallestPage : 1;
  for (const AddressSpaceDomain& each : std::span(state_->domains, state_->domain_count)) {
    sizes &= each.page_sizes;
    smallest = std::max(smallest, SmallestPage(each.page_sizes));
  }
  state_->page_sizes = (sizes & -smallest) | smallest;
}

// Mappings are carried out one by one. Whoever dies in between leaves an address space of which
// Recover knows that it has no domain, and that what its memory was for is the backend's.
Status AddressSpace::CarryOutAll() {
  MappingIndex index = mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    const Status mapped = backend_->Map(*handle_, *mapping);
    if (mapped.ok()) continue;
    for (auto undone = index.FindFirstOverlapping(0, UINT64_MAX);
         undone && undone->first != mapping->first; undone = index.Next(undone->first)) {
      (void)backend_->Unmap(*handle_, *undone);
    }
    return mapped;
  }
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    backend_->Forget(*handle_, *mapping);
  }
  state_->is_carried_out = 1;
  return {};
}

void AddressSpace::UndoAll() {
  MappingIndex index = mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    (void)backend_->Keep(*handle_, *mapping);
    (void)backend_->Unmap(*handle_, *mapping);
  }
  state_->is_carried_out = 0;
}

Status AddressSpace::Allow(ArenaRef<IovaRange> ranges, uint32_t count) {
  for (const IovaRange& range : std::span(arena_->Get(ranges), count)) {
    const auto meets = [&](const ReservedRange& reserved) {
      return reserved.range.Overlaps(range);
    };
    if (std::any_of(state_->reserved, state_->reserved + state_->reserved_count, meets)) {
      return Error{EADDRINUSE, "a range to allow is reserved"};
    }
  }
  const ArenaRef<IovaRange> old = state_->allowed;
  const uint32_t old_count = state_->allowed_count;
  // In an order in which a death leaves a list of ranges that are there.
  state_->allowed_count = 0;
  std::atomic_signal_fence(std::memory_order_release);
  state_->allowed = ranges;
  std::atomic_signal_fence(std::memory_order_release);
  state_->allowed_count = count;
  arena_->Delete(old, old_count);
  return {};
}

}  // namespace ioas
