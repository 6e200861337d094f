// The memory of a version 2 SPAPR TCE container: registered by the program, pinned for the
// container.
#include <algorithm>
#include <optional>

#include "compat/abi/vfio_spapr.h"
#include "ppc/page_release.h"
#include "ppc/spapr_container.h"

namespace ppc {

using compat::decode::DecodedCall;
using ioas::Error;
using ioas::Mapping;
using ioas::MemoryRange;
using ioas::PinnedMemory;
namespace abi = compat::abi;

namespace {

constexpr uint64_t kPageSize = 4096;
// Of Mapping::flags of a pin.
constexpr uint32_t kRegistered = 1;
// From here on there is no memory to list a region's pages in, well beyond what processes have.
constexpr uint64_t kTooLarge = uint64_t{1} << 47;
// The kernel pins so many pages at a time.
constexpr uint64_t kPagesAtATime = uint64_t{1} << 21;

}  // namespace

ioas::Result<long> SpaprContainer::RegisterMemory(const DecodedCall& call) {
  TakeOver();
  const auto request = call.CopyIn<abi::SpaprRegisterMemory>();
  if (!request.ok()) return request.error();
  const uint64_t first = request->vaddr;
  const uint64_t size = request->size;
  if (((first | size) & (kPageSize - 1)) != 0 || first + size < first) {
    return Error{EINVAL, "address and size must be multiples of 4096, and not wrap around"};
  }
  if (size == 0) return Error{ENOMEM, "the kernel cannot list no pages"};
  const MemoryRange region = {first, first + (size - 1)};
  if (!state_.memory) {
    const auto joined = registered_memory().Join(context_.process);
    if (!joined.ok()) return joined.error();
    state_.memory = *joined;
  }
  const auto pin = pins().FindContaining(first);
  if (pin && pin->first == region.first && pin->last == region.last && pin->flags == kRegistered) {
    return Error{EBUSY, "the container has registered it"};
  }
  const ioas::Status registered = registered_memory().Acquire(state_.memory, region)
                                      ? RegisterKnown(region)
                                      : RegisterNew(region);
  if (registered.ok()) {
    state_.is_enabled = 1;
    return 0L;
  }
  const uint64_t pages = registered.error().code == EFAULT ? CountPinnable(region) : 0;
  if (pages == 0) return registered.error();
  return static_cast<long>(pages);
}

// What the kernel returns, instead of EFAULT, for a region that ends in memory which cannot be
// pinned: how many pages it has pinned last. They are given back, and nothing is registered.
uint64_t SpaprContainer::CountPinnable(const MemoryRange& region) const {
  uint64_t pinnable = 0;
  uint64_t too_many = region.size() / kPageSize;
  while (too_many - pinnable > 1) {
    const uint64_t pages = pinnable + (too_many - pinnable) / 2;
    const MemoryRange part = {region.first, region.first + pages * kPageSize - 1};
    if (const auto place = context_.backend->Pin(context_.handle, part); place.ok()) {
      context_.backend->Unpin(context_.handle, {part, *place});
      pinnable = pages;
    } else {
      too_many = pages;
    }
  }
  return pinnable % kPagesAtATime;
}

// What the container borrows is pinned, and is its own from now on.
ioas::Status SpaprContainer::RegisterKnown(const MemoryRange& region) {
  const bool is_borrowed =
      pins().Update(region.first, [](Mapping& updated) { updated.flags = kRegistered; });
  if (is_borrowed) {
    registered_memory().Return(state_.memory, region.first);
    return {};
  }
  const ioas::Status pinned = Pin(region, /*is_registered=*/true);
  if (!pinned.ok()) registered_memory().Release(state_.memory, region.first, /*borrows=*/false);
  return pinned;
}

// In the kernel's order: the limit, the memory, the other regions.
ioas::Status SpaprContainer::RegisterNew(const MemoryRange& region) {
  if (region.size() >= kTooLarge) return Error{ENOMEM, "the region is too large"};
  IOAS_RETURN_IF_ERROR(processes().LockMemory(region.size(), nullptr));
  const ioas::Result<uint32_t> place = context_.backend->Pin(context_.handle, region);
  if (!place.ok()) {
    processes().UnlockMemory(context_.process, region.size());
    return place.error();
  }
  ioas::Status done = registered_memory().Add(state_.memory, region);
  if (!done.ok()) {
    processes().UnlockMemory(context_.process, region.size());
  } else {
    done = pins().Insert(
        {.first = region.first, .last = region.last, .flags = kRegistered, .extra = *place});
    if (!done.ok()) registered_memory().Release(state_.memory, region.first, /*borrows=*/false);
  }
  if (!done.ok()) context_.backend->Unpin(context_.handle, {region, *place});
  return done;
}

ioas::Result<long> SpaprContainer::UnregisterMemory(const DecodedCall& call) {
  if (state_.owner.pid == 0) return Error{EPERM, "the container is nobody's yet"};
  const auto request = call.CopyIn<abi::SpaprRegisterMemory>();
  if (!request.ok()) return request.error();
  if (((request->vaddr | request->size) & (kPageSize - 1)) != 0) {
    return Error{EINVAL, "address and size must be multiples of 4096"};
  }
  const auto pin = pins().FindContaining(request->vaddr);
  if (!pin || pin->flags != kRegistered || pin->first != request->vaddr ||
      pin->last - pin->first != request->size - 1) {
    return Error{ENOENT, "the container has not registered it"};
  }
  const bool is_mapped = pin->user_address != 0;
  if (is_mapped) {
    pins().Update(pin->first, [](Mapping& updated) { updated.flags = 0; });
  } else {
    context_.backend->Unpin(context_.handle, PinnedBy(*pin));
    pins().Erase(pin->first);
  }
  registered_memory().Release(state_.memory, pin->first, /*borrows=*/is_mapped);
  return 0L;
}

ioas::Status SpaprContainer::Pin(const MemoryRange& region, bool is_registered) {
  const ioas::Result<uint32_t> place = context_.backend->Pin(context_.handle, region);
  if (!place.ok()) return place.error();
  const ioas::Status listed = pins().Insert({.first = region.first,
                                             .last = region.last,
                                             .flags = is_registered ? kRegistered : 0,
                                             .extra = *place});
  if (!listed.ok()) context_.backend->Unpin(context_.handle, {region, *place});
  return listed;
}

ioas::Result<PinnedMemory> SpaprContainer::FindPin(uint64_t address, uint64_t size) {
  if (const auto pin = pins().FindContaining(address)) {
    if (pin->last - address >= size - 1) return PinnedBy(*pin);
    return Error{EINVAL, "a page of the window would lead beyond its region"};
  }
  const auto region = registered_memory().Borrow(state_.memory, address, size);
  if (!region) return Error{EINVAL, "the memory is not registered"};
  if (const ioas::Status pinned = Pin(*region, /*is_registered=*/false); !pinned.ok()) {
    registered_memory().Return(state_.memory, region->first);
    return pinned.error();
  }
  return PinnedBy(*pins().FindContaining(address));
}

void SpaprContainer::AddPages(uint64_t first, uint64_t pages) {
  pins().Update(first, [&](Mapping& updated) { updated.user_address += pages; });
}

void SpaprContainer::RemovePages(uint64_t first, uint64_t pages) {
  std::optional<PinnedMemory> unused;
  pins().Update(first, [&](Mapping& updated) {
    updated.user_address -= pages;
    if (updated.user_address == 0 && updated.flags != kRegistered) unused = PinnedBy(updated);
  });
  if (!unused) return;
  context_.backend->Unpin(context_.handle, *unused);
  pins().Erase(first);
  registered_memory().Return(state_.memory, first);
}

void SpaprContainer::PageRelease::OnRun(uint64_t user_address, uint64_t pages) {
  // Version 1 has no pins.
  while (pages != 0) {
    const auto pin = container_.pins().FindContaining(user_address);
    if (!pin) return;
    const uint64_t here = std::min(pages, (pin->last - user_address + 1) >> page_shift_);
    container_.RemovePages(pin->first, here);
    user_address += here << page_shift_;
    pages -= here;
  }
}

}  // namespace ppc
