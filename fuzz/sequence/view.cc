#include "fuzz/sequence/view.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "ppc/registered_memory.h"

namespace fuzz::sequence {
namespace {

using compat::decode::ContainerType;
using compat::vfio::ContainerState;

// What each fact is. Compared by address.
constexpr char kContainer[] = "container: type, number of groups, dirty tracking";
constexpr char kMember[] = "its group: index";
constexpr char kMapping[] = "mapping: IOVA, size, address, access (| lost << 16)";
constexpr char kWindow[] = "window: number, start, pages, page shift";
constexpr char kRun[] = "run of pages: IOVA, size, address, access";
constexpr char kGroup[] = "group: is open, open devices, has a container";
constexpr char kRegion[] = "registered memory: address, size";

constexpr Slot kContainerNames[] = {Slot::kC, Slot::kC2, Slot::kC3};

uint64_t NumberOf(ContainerType type) {
  switch (type) {
    case ContainerType::kType1:
      return kType1V1;
    case ContainerType::kType1v2:
      return kType1V2;
    case ContainerType::kSpaprV1:
      return kSpaprV1;
    case ContainerType::kSpaprV2:
      return kSpaprV2;
    default:
      return kNoType;
  }
}

// Adds pages that lead somewhere, in ascending order; those that go on are one fact.
void AddRun(uint64_t iova, uint64_t size, uint64_t address, uint64_t access, Facts& facts) {
  if (!facts.empty() && facts.back().what == kRun) {
    auto& [first, bytes, lead, may] = facts.back().values;
    if (first + bytes == iova && lead + bytes == address && may == access) {
      bytes += size;
      return;
    }
  }
  facts.push_back({kRun, {iova, size, address, access}});
}

// The reference's.

void AddWindow(uint64_t number, const ReferenceWindow& window, Facts& facts) {
  facts.push_back({kWindow, {number, window.start, window.pages, window.shift}});
  for (const auto& [index, page] : window.page) {
    AddRun(window.start + (index << window.shift), uint64_t{1} << window.shift, page.address,
           page.access, facts);
  }
}

void AddContainer(const ReferenceContainer& container, Facts& facts) {
  facts.push_back(
      {kContainer, {container.type, container.groups.size(), container.is_tracking ? 1u : 0, 0}});
  for (const uint32_t group : container.groups) facts.push_back({kMember, {group, 0, 0, 0}});
  for (const auto& [iova, mapping] : container.mappings) {
    const uint64_t lost = mapping.has_lost_address ? 1 << 16 : 0;
    facts.push_back({kMapping, {iova, mapping.size, mapping.address, mapping.access | lost}});
  }
  for (uint64_t number = 0; number < 2; ++number) {
    if (container.windows[number]) AddWindow(number, *container.windows[number], facts);
  }
}

// The product's.

ioas::AddressSpace SpaceOf(const Product& product, const ContainerState& container) {
  static thread_local ioas::Arena arena;
  arena = product.host().arena();
  return {arena, container.space};
}

void AddRuns(ioas::AddressSpace& space, uint32_t number, Facts& facts) {
  const ioas::IovaRange range = space.window(number).range;
  for (auto run = space.FindRun(number, range.first, range.last); run;
       run = space.FindRun(number, run->last + 1, range.last)) {
    AddRun(run->first, run->last - run->first + 1, run->user_address, run->flags, facts);
    if (run->last >= range.last) return;
  }
}

void AddSpace(const Product& product, const ContainerState& container, Facts& facts) {
  ioas::AddressSpace space = SpaceOf(product, container);
  const ioas::AddressSpace::Lock lock(space);
  ioas::MappingIndex mappings = space.mappings();
  for (auto mapping = mappings.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = mappings.Next(mapping->first)) {
    facts.push_back({kMapping,
                     {mapping->first, mapping->last - mapping->first + 1, mapping->user_address,
                      mapping->flags}});
  }
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
    if (!space.HasWindow(number)) continue;
    const ioas::WindowState& window = space.window(number);
    const uint32_t shift = window.table.page_shift;
    facts.push_back({kWindow,
                     {number, window.range.first,
                      ((window.range.last - window.range.first) >> shift) + 1, shift}});
    AddRuns(space, number, facts);
  }
}

void AddContainer(const Product& product, const ContainerState& container, Facts& facts) {
  uint32_t groups[compat::vfio::kMaxDevices];
  const auto members = product.host().GroupsInTurn(container, groups);
  facts.push_back(
      {kContainer, {NumberOf(container.type), members.size(), container.dirty_tracking, 0}});
  for (const uint32_t group : members) facts.push_back({kMember, {group, 0, 0, 0}});
  if (container.space) AddSpace(product, container, facts);
}

void AddRegions(const Product& product, Facts& facts) {
  const compat::vfio::Host& host = product.host();
  const auto all = host.state().registered_memory;
  if (!all) return;
  const ioas::Arena arena = host.arena();
  for (auto each = arena.Get(all)->first; each; each = arena.Get(each)->next) {
    ioas::MappingIndex regions(arena, &arena.Get(each)->regions);
    for (auto region = regions.FindFirstOverlapping(0, UINT64_MAX); region;
         region = regions.Next(region->first)) {
      facts.push_back({kRegion, {region->first, region->last - region->first + 1, 0, 0}});
    }
  }
}

std::string Line(char sign, const Fact& fact) {
  char text[160];
  const auto& values = fact.values;
  std::snprintf(text, sizeof(text),
                "%c %s: 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 "\n", sign, fact.what,
                values[0], values[1], values[2], values[3]);
  return text;
}

// Whether the product leads from `iova` to `address` for exactly the kinds of access of `access`.
std::string CheckTranslation(ioas::AddressSpace& space, uint64_t iova, uint64_t address,
                             uint32_t access) {
  for (const uint32_t kind : {ioas::kAccessRead, ioas::kAccessWrite}) {
    const auto translation = space.Translate(iova, kind);
    const int expected = access == 0 ? ENOENT : (access & kind) == 0 ? EACCES : 0;
    const bool is_right = translation.error().code == expected &&
                          (expected != 0 || translation->user_address == address);
    if (is_right) continue;
    char text[160];
    std::snprintf(text, sizeof(text),
                  "IOVA 0x%" PRIx64 ", access %u: errno %d expected, to 0x%" PRIx64
                  "; came errno %d, to 0x%" PRIx64 "\n",
                  iova, kind, expected, address, translation.error().code,
                  translation->user_address);
    return text;
  }
  return {};
}

// A stretch of IOVAs that leads on and on.
struct Stretch {
  uint64_t iova;
  uint64_t size;
  uint64_t address;
  uint32_t access;
};

std::vector<Stretch> StretchesOf(const ReferenceContainer& container) {
  std::vector<Stretch> stretches;
  for (const auto& [iova, mapping] : container.mappings) {
    stretches.push_back({iova, mapping.size, mapping.address, mapping.access});
  }
  for (const auto& window : container.windows) {
    if (!window) continue;
    for (const auto& [index, page] : window->page) {
      stretches.push_back({window->start + (index << window->shift), uint64_t{1} << window->shift,
                           page.address, page.access});
    }
  }
  return stretches;
}

std::string CheckStretches(ioas::AddressSpace& space, const std::vector<Stretch>& stretches) {
  std::string wrong;
  for (size_t i = 0; i < stretches.size(); ++i) {
    const auto& [iova, size, address, access] = stretches[i];
    wrong += CheckTranslation(space, iova, address, access);
    wrong += CheckTranslation(space, iova + size - 1, address + size - 1, access);
    const bool has_next = i + 1 < stretches.size() && stretches[i + 1].iova == iova + size;
    if (!has_next) wrong += CheckTranslation(space, iova + size, 0, 0);
    const bool has_before = i > 0 && stretches[i - 1].iova + stretches[i - 1].size == iova;
    if (!has_before && iova != 0) wrong += CheckTranslation(space, iova - 1, 0, 0);
  }
  return wrong;
}

}  // namespace

Facts FactsOf(const Reference& reference) {
  Facts facts;
  for (const Slot name : kContainerNames) {
    if (const auto* container = reference.ContainerOf(name)) AddContainer(*container, facts);
  }
  for (uint32_t number = 0; number < 2; ++number) {
    const ReferenceGroup& group = reference.group(number);
    const bool has_container = group.container != nullptr;
    facts.push_back(
        {kGroup, {group.is_open ? 1u : 0, group.open_devices, has_container ? 1u : 0, 0}});
    if (has_container) AddContainer(*group.container, facts);
  }
  std::vector<Fact> regions;
  for (const ReferenceRegion& region : reference.regions()) {
    regions.push_back({kRegion, {region.address, region.size, 0, 0}});
  }
  std::sort(regions.begin(), regions.end(),
            [](const Fact& one, const Fact& other) { return one.values < other.values; });
  facts.insert(facts.end(), regions.begin(), regions.end());
  return facts;
}

Facts FactsOf(Product& product) {
  Facts facts;
  const compat::vfio::Host& host = product.host();
  const ioas::Arena arena = host.arena();
  for (const Slot name : kContainerNames) {
    const uint32_t slot = product.SlotOfName(name);
    if (slot == 0) continue;
    const ioas::ArenaRef<ContainerState> container{host.files().slot(slot).object};
    AddContainer(product, *arena.Get(container), facts);
  }
  for (uint32_t number = 0; number < 2; ++number) {
    const compat::vfio::GroupState& group = host.state().groups[number];
    const bool has_container = static_cast<bool>(group.container);
    facts.push_back(
        {kGroup, {group.slot != 0 ? 1u : 0, group.device_opens, has_container ? 1u : 0, 0}});
    if (has_container) AddContainer(product, *arena.Get(group.container), facts);
  }
  AddRegions(product, facts);
  return facts;
}

std::vector<uint64_t> CountersOf(Product& product) {
  std::vector<uint64_t> counters;
  const compat::vfio::Host& host = product.host();
  for (uint32_t process = 0; process < 2; ++process) {
    counters.push_back(host.platform().processes().locked_bytes(process));
  }
  const ioas::Arena arena = host.arena();
  for (auto each = host.state().containers; each; each = arena.Get(each)->next) {
    const ContainerState& container = *arena.Get(each);
    counters.push_back(container.in_use);
    counters.push_back(container.file_open);
    counters.push_back(container.invalid_addresses);
    if (!container.space) continue;
    const ioas::AddressSpaceStatistics& statistics = arena.Get(container.space)->statistics;
    counters.push_back(statistics.maps);
    counters.push_back(statistics.unmaps);
    counters.push_back(statistics.bytes_mapped);
  }
  return counters;
}

std::string Difference(const Facts& expected, const Facts& actual) {
  std::string text;
  const auto lacks = [](const Facts& facts, const Fact& fact) {
    return std::find(facts.begin(), facts.end(), fact) == facts.end();
  };
  for (const Fact& fact : expected) {
    if (lacks(actual, fact)) text += Line('-', fact);
  }
  for (const Fact& fact : actual) {
    if (lacks(expected, fact)) text += Line('+', fact);
  }
  return text.empty() ? "  the same facts in another order\n" : text;
}

std::string CheckTranslations(Product& product, const Reference& reference) {
  std::string wrong;
  const compat::vfio::Host& host = product.host();
  for (const Slot name : kContainerNames) {
    const ReferenceContainer* expected = reference.ContainerOf(name);
    const uint32_t slot = product.SlotOfName(name);
    if (expected == nullptr || slot == 0) continue;
    const ContainerState& container =
        *host.arena().Get(ioas::ArenaRef<ContainerState>{host.files().slot(slot).object});
    if (!container.space) continue;
    ioas::AddressSpace space = SpaceOf(product, container);
    const ioas::AddressSpace::Lock lock(space);
    wrong += CheckStretches(space, StretchesOf(*expected));
  }
  return wrong;
}

}  // namespace fuzz::sequence
