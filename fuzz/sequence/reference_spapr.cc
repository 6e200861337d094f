// What SPAPR TCE containers answer on a POWER machine without a hypervisor: what
// drivers/vfio/vfio_iommu_spapr_tce.c and the platform's code make of windows and of memory, as
// programs see it.
#include <algorithm>
#include <bit>
#include <cerrno>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_spapr.h"
#include "fuzz/sequence/reference.h"

namespace fuzz::sequence {
namespace {

namespace abi = compat::abi;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kDefaultSize = uint64_t{1} << 31;
constexpr uint64_t kStarts[2] = {0, uint64_t{1} << 59};
constexpr uint64_t kPageSizes = 0x40211000;
constexpr uint32_t kWindows = 2;
constexpr uint32_t kLevels = 5;
constexpr uint64_t kSmallestTable = 512;  // entries
constexpr uint32_t kLargestLevelShift = 24;

ReferenceWindow* FindWindow(ReferenceContainer& container, uint64_t iova) {
  for (auto& window : container.windows) {
    if (window && window->Contains(iova)) return &*window;
  }
  return nullptr;
}

void Forget(ReferenceWindow& window, uint64_t number) {
  const auto page = window.page.find(number);
  if (page == window.page.end()) return;
  if (page->second.region != nullptr) --page->second.region->mapped;
  window.page.erase(page);
}

void ForgetAll(ReferenceWindow& window) {
  while (!window.page.empty()) Forget(window, window.page.begin()->first);
}

// Returns the window's number, or a negated errno.
long CreateWindow(ReferenceContainer& container, uint32_t shift, uint64_t size, uint32_t levels) {
  const long number = !container.windows[0] ? 0 : 1;
  if (container.windows[number]) return -ENOSPC;
  if (shift >= 64 || (kPageSizes >> shift & 1) == 0) return -EINVAL;
  if (levels == 0 || levels > kLevels || !std::has_single_bit(size)) return -EINVAL;
  const uint32_t size_shift = std::countr_zero(size);
  if (size_shift < shift) return -EINVAL;
  const uint32_t level_shift = std::max((size_shift - shift + levels - 1) / levels + 3, 12u);
  if ((level_shift - 3) * levels + shift >= 55) return -EINVAL;
  if (level_shift > kLargestLevelShift) return -ENOMEM;
  const uint64_t pages = std::max(size >> shift, kSmallestTable);
  container.windows[number] = ReferenceWindow{kStarts[number], pages, shift, {}};
  return number;
}

// The first call that needs a window makes the default one.
void CreateDefaultWindow(ReferenceContainer& container) {
  if (!container.is_default_pending) return;
  container.is_default_pending = false;
  CreateWindow(container, 12, kDefaultSize, 1);
}

// What the kernel returns for memory of which a part cannot be pinned: how many pages come before.
long PinnedPages(uint64_t address) {
  uint64_t pages = 0;
  while (Memory::Of().Contains(address + pages * kPage, kPage, true)) ++pages;
  return pages != 0 ? static_cast<long>(pages) : -EFAULT;
}

}  // namespace

long Reference::SpaprCall(ReferenceContainer& container, Request& request) {
  const bool is_v2 = container.type == kSpaprV2;
  switch (request.number) {
    case 12:
      return TceInfo(container, request);
    case 13:
      return TceMap(container, request);
    case 14:
      return TceUnmap(container, request);
    case 15:
      if (is_v2) return -ENOTTY;
      if (container.is_enabled) return -EBUSY;
      container.is_enabled = container.has_owner = true;
      return 0;
    case 16:
      if (is_v2) return -ENOTTY;
      container.is_enabled = false;
      return 0;
    case 17:
      return is_v2 ? Register(container, request) : -ENOTTY;
    case 18:
      return is_v2 ? Unregister(container, request) : -ENOTTY;
    case 19:
      return is_v2 ? Create(container, request) : -ENOTTY;
    case 20:
      return is_v2 ? Remove(container, request) : -ENOTTY;
    case 21:
      return Eeh(container, request);
    default:
      return -ENOTTY;
  }
}

long Reference::TceInfo(const ReferenceContainer& container, Request& request) {
  if (request.structure.empty()) return -EFAULT;
  const auto argsz = request.As<uint32_t>();
  if (argsz < 16) return -EINVAL;
  abi::SpaprTceInfo info = {argsz, 0, 0, static_cast<uint32_t>(kDefaultSize), {0, 0, 0}};
  if (container.type == kSpaprV2) {
    info.flags = abi::kIommuSpaprInfoDdw;
    info.ddw = {kPageSizes, kWindows, kLevels};
  }
  request.Put(info, argsz >= sizeof(info) ? sizeof(info) : 16);
  return 0;
}

long Reference::TceMap(ReferenceContainer& container, const Request& request) {
  if (!container.is_enabled) return -EPERM;
  if (request.structure.empty()) return -EFAULT;
  const auto map = request.As<abi::DmaMap>();
  if (map.argsz < sizeof(map) || (map.flags & ~3u) != 0) return -EINVAL;
  CreateDefaultWindow(container);
  ReferenceWindow* const window = FindWindow(container, map.iova);
  if (window == nullptr) return -ENXIO;
  const uint64_t mask = (uint64_t{1} << window->shift) - 1;
  if (((map.size | map.vaddr | map.iova) & mask) != 0 || map.flags == 0) return -EINVAL;
  if (map.size >> window->shift > window->pages - ((map.iova - window->start) >> window->shift)) {
    return -EINVAL;  // the kernel goes on behind the table
  }
  return TceBuild(container, *window, request);
}

long Reference::TceBuild(ReferenceContainer& container, ReferenceWindow& window,
                         const Request& request) {
  const auto map = request.As<abi::DmaMap>();
  const uint64_t size = uint64_t{1} << window.shift;
  const uint64_t first = (map.iova - window.start) >> window.shift;
  const bool is_v2 = container.type == kSpaprV2;
  // Who may write may read, to the hardware of this machine.
  const uint32_t access = (map.flags & abi::kDmaMapFlagWrite) != 0 ? 3 : map.flags;
  // Memory of which a part is missing: nothing changes, where the kernel unmaps what comes before.
  if (!is_v2 && map.size != 0 && !Memory::Of().Contains(map.vaddr, map.size, true)) return -EFAULT;
  for (uint64_t done = 0; done < map.size >> window.shift; ++done) {
    const uint64_t address = map.vaddr + done * size;
    ReferenceRegion* const region = is_v2 ? FindRegion(address, size) : nullptr;
    if (is_v2 && region == nullptr) {
      for (uint64_t undone = 0; undone < done; ++undone) Forget(window, first + undone);
      return -EINVAL;
    }
    if (region != nullptr) ++region->mapped;
    Forget(window, first + done);
    window.page[first + done] = {address, access, region};
  }
  return 0;
}

long Reference::TceUnmap(ReferenceContainer& container, const Request& request) {
  if (!container.is_enabled) return -EPERM;
  if (request.structure.empty()) return -EFAULT;
  const auto unmap = request.As<abi::DmaUnmap>();
  if (unmap.argsz < sizeof(unmap) || unmap.flags != 0) return -EINVAL;
  CreateDefaultWindow(container);
  ReferenceWindow* const window = FindWindow(container, unmap.iova);
  if (window == nullptr) return -ENXIO;
  const uint64_t mask = (uint64_t{1} << window->shift) - 1;
  if (((unmap.size | unmap.iova) & mask) != 0) return -EINVAL;
  const uint64_t first = (unmap.iova - window->start) >> window->shift;
  const uint64_t pages = unmap.size >> window->shift;
  if (pages > window->pages - first) return -EINVAL;  // the kernel goes on behind the table
  auto page = window->page.lower_bound(first);
  while (page != window->page.end() && page->first - first < pages) {
    const uint64_t number = (page++)->first;
    Forget(*window, number);
  }
  return 0;
}

ReferenceRegion* Reference::FindRegion(uint64_t address, uint64_t size) {
  for (ReferenceRegion& region : regions_) {
    if (region.Contains(address, size)) return &region;
  }
  return nullptr;
}

long Reference::Register(ReferenceContainer& container, const Request& request) {
  container.has_owner = true;
  if (request.structure.size() < sizeof(abi::SpaprRegisterMemory)) return -EFAULT;
  const auto memory = request.As<abi::SpaprRegisterMemory>();
  if (memory.argsz < sizeof(memory) || memory.flags != 0) return -EINVAL;
  if (((memory.vaddr | memory.size) & (kPage - 1)) != 0) return -EINVAL;
  const uint64_t end = memory.vaddr + memory.size;
  if (end < memory.vaddr) return -EINVAL;
  for (ReferenceRegion& region : regions_) {
    if (region.address != memory.vaddr || region.size != memory.size) continue;
    const auto& own = container.registered;
    if (std::find(own.begin(), own.end(), &region) != own.end()) return -EBUSY;
    ++region.users;
    container.registered.push_back(&region);
    container.is_enabled = true;
    return 0;
  }
  // The kernel lists the pages, which has to be some and not too many.
  if (memory.size == 0 || memory.size >> 47 != 0) return -ENOMEM;
  if (!Memory::Of().Contains(memory.vaddr, memory.size, true)) return PinnedPages(memory.vaddr);
  for (const ReferenceRegion& region : regions_) {
    if (region.address < end && memory.vaddr < region.address + region.size) return -EINVAL;
  }
  regions_.push_back({memory.vaddr, memory.size, 1, 0});
  container.registered.push_back(&regions_.back());
  container.is_enabled = true;
  return 0;
}

// Gives a registration up. The last one cannot go while windows lead there: the region stays.
void Reference::PutRegion(ReferenceRegion* region) {
  if (--region->users != 0) return;
  if (region->mapped != 0) {
    ++region->users;
    return;
  }
  regions_.remove_if([&](const ReferenceRegion& each) { return &each == region; });
}

long Reference::Unregister(ReferenceContainer& container, const Request& request) {
  if (!container.has_owner) return -EPERM;
  if (request.structure.size() < sizeof(abi::SpaprRegisterMemory)) return -EFAULT;
  const auto memory = request.As<abi::SpaprRegisterMemory>();
  if (memory.argsz < sizeof(memory) || memory.flags != 0) return -EINVAL;
  if (((memory.vaddr | memory.size) & (kPage - 1)) != 0) return -EINVAL;
  auto& own = container.registered;
  const auto found = std::find_if(own.begin(), own.end(), [&](const ReferenceRegion* region) {
    return region->address == memory.vaddr && region->size == memory.size;
  });
  if (found == own.end()) return -ENOENT;
  ReferenceRegion* const region = *found;
  own.erase(found);
  PutRegion(region);
  return 0;
}

long Reference::Create(ReferenceContainer& container, Request& request) {
  container.has_owner = true;
  if (request.structure.empty()) return -EFAULT;
  auto create = request.As<abi::SpaprTceCreate>();
  if (create.argsz < sizeof(create) || create.flags != 0) return -EINVAL;
  CreateDefaultWindow(container);
  const long number = CreateWindow(container, create.page_shift, create.window_size, create.levels);
  if (number < 0) return number;
  create.start_addr = kStarts[number];
  request.Put(create);
  return 0;
}

long Reference::Remove(ReferenceContainer& container, const Request& request) {
  container.has_owner = true;
  if (request.structure.empty()) return -EFAULT;
  const auto remove = request.As<abi::SpaprTceRemove>();
  if (remove.argsz < sizeof(remove) || remove.flags != 0) return -EINVAL;
  if (container.is_default_pending && remove.start_addr == 0) {
    container.is_default_pending = false;
    return 0;
  }
  for (auto& window : container.windows) {
    if (!window || !window->Contains(remove.start_addr)) continue;
    ForgetAll(*window);
    window.reset();
    return 0;
  }
  return -EINVAL;
}

// Does the same to each group; the first state that is not the normal one is the answer.
long Reference::Eeh(const ReferenceContainer& container, const Request& request) {
  if (request.structure.empty()) return -EFAULT;
  const auto operation = request.As<abi::EehPeOp>();
  if (operation.argsz < 12 || operation.flags != 0) return -EINVAL;
  if (operation.op == abi::kEehPeInjectErr && operation.argsz < sizeof(operation)) return -EINVAL;
  for (const uint32_t number : container.groups) {
    const long result = EehOnGroup(groups_[number], operation.op);
    if (result != 0) return result;
  }
  return 0;
}

long Reference::EehOnGroup(ReferenceGroup& group, uint32_t operation) {
  switch (operation) {
    case abi::kEehPeUnfreezeIo:
      group.is_io_frozen = false;
      return 0;
    case abi::kEehPeUnfreezeDma:
      group.is_dma_frozen = false;
      return 0;
    case abi::kEehPeGetState:
      if (group.is_io_frozen) {
        return group.is_dma_frozen ? abi::kEehPeStateStopped : abi::kEehPeStateUnavail;
      }
      return group.is_dma_frozen ? abi::kEehPeStateStoppedDma : abi::kEehPeStateNormal;
    case abi::kEehPeEnable:
    case abi::kEehPeResetDeactivate:
      Thaw(group);
      return 0;
    case abi::kEehPeResetHot:
    case abi::kEehPeResetFundamental:
    case abi::kEehPeInjectErr:
      group.is_io_frozen = group.is_dma_frozen = true;
      return 0;
    case abi::kEehPeDisable:
    case abi::kEehPeConfigure:
      return 0;
    default:
      return -EINVAL;
  }
}

void Reference::CloseSpapr(ReferenceContainer& container) {
  for (auto& window : container.windows) {
    if (window) ForgetAll(*window);
    window.reset();
  }
  for (ReferenceRegion* const region : container.registered) PutRegion(region);
  container.registered.clear();
  container.is_enabled = container.has_owner = container.is_default_pending = false;
}

}  // namespace fuzz::sequence
