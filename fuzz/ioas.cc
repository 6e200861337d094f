// Any sequence of what is done to an address space, with a backend that refuses, and an arena that
// is full, at any call: ioas::AddressSpace against maps of pages (ioas_reference.h). After each
// step the whole state agrees, so that a call that failed has changed nothing but what it says it
// does; what the backend was told agrees with it as well; and pages that lead elsewhere are
// reported, each once.
//
// An input: what the IOMMU is like, and steps of one byte and their operands.
#include <algorithm>
#include <cerrno>

#include "fuzz/ioas_comparison.h"
#include "fuzz/ioas_input.h"

namespace fuzz {

using ioas::kMaxWindows;
using ioas::Mapping;

namespace {

constexpr uint32_t kMappingLimit = 12;
constexpr size_t kArenaSize = 1 << 20;
constexpr int kMaxSteps = 100;

}  // namespace

IoasComparison::IoasComparison(Input& input)
    : input_(input),
      arena_(*ioas::Arena::CreatePrivate(kArenaSize)),
      space_(arena_, *ioas::AddressSpace::Create(arena_, {}, kMappingLimit), &backend_) {
  reference_.mapping_limit = kMappingLimit;
  SetProperties();
}

IoasComparison::~IoasComparison() {
  // What was made is all there is: nothing stays behind.
  for (uint32_t number = 0; number < kMaxWindows; ++number) RemoveWindow(number);
  UnmapAll();
  RequireSame();
  Refill(false);
  space_.Destroy();
  FUZZ_REQUIRE(arena_.bytes_in_use() == bytes_before_);
  arena_.Unmap();
}

void IoasComparison::Step() {
  switch (input_.TakeBelow(16)) {
    case 0:
    case 1:
      Map();
      break;
    case 2:
      Unmap();
      break;
    case 3:
      // What is in windows is its own: no address space has both.
      if (!reference_.windows[0] && !reference_.windows[1]) UnmapAll();
      break;
    case 4:
      Reserve();
      break;
    case 5: {
      const uint32_t owner = input_.TakeBelow(4);
      space_.Release(owner);
      std::erase_if(reference_.reserved, [&](const auto& each) { return each.owner == owner; });
      break;
    }
    case 6:
      reference_.limits = TakeLimits(input_);
      space_.SetLimits(reference_.limits);
      break;
    case 7:
      AddWindow();
      break;
    case 8:
      RemoveWindow(input_.TakeBelow(kMaxWindows));
      break;
    case 9:
    case 10:
      MapRun();
      break;
    case 11:
      UnmapRun();
      break;
    case 12:
      Ask();
      break;
    case 13:
      SetProperties();
      break;
    case 14:
      backend_.RefuseNext(input_.Take<uint8_t>());
      break;
    case 15:
      Refill(filler_.empty());
      break;
  }
  RequireSame();
}

bool IoasComparison::Agrees(const ioas::Status& status, int expected) const {
  const int code = status.error().code;
  if (expected != 0) {
    FUZZ_REQUIRE(code == expected);
  } else if (backend_.refusal() == 0 && filler_.empty()) {
    FUZZ_REQUIRE(code == 0);
  } else {
    FUZZ_REQUIRE(code == 0 || code == backend_.refusal() || (code == ENOMEM && !filler_.empty()));
  }
  return code == 0;
}

void IoasComparison::SetProperties() {
  const ioas::IommuProperties iommu = TakeProperties(input_);
  space_.SetProperties(iommu);
  reference_.has_windows_anywhere = iommu.has_windows_anywhere;
  reference_.apertures.assign(iommu.apertures.begin(), iommu.apertures.end());
  reference_.reserved.clear();
  for (const IovaRange& range : iommu.reserved) {
    reference_.reserved.push_back({range, ioas::kIommuOwner});
  }
}

void IoasComparison::Map() {
  const IovaRange range = TakeRange(input_);
  const Mapping mapping = {.first = range.first,
                           .last = range.last,
                           .user_address = uint64_t{input_.Take<uint16_t>()} * kPage,
                           .owner = input_.TakeBelow(4),
                           .flags = input_.TakeBelow(4),
                           .extra = input_.Take<uint8_t>()};
  if (!Agrees(space_.Map(mapping), reference_.MapErrno(mapping))) return;
  reference_.mappings[mapping.first] = mapping;
  ++reference_.maps;
}

void IoasComparison::Unmap() {
  if (reference_.mappings.empty()) return;
  auto chosen = reference_.mappings.begin();
  std::advance(chosen, input_.TakeBelow(static_cast<uint32_t>(reference_.mappings.size())));
  if (!Agrees(space_.Unmap(chosen->second), 0)) return;
  reference_.mappings.erase(chosen);
  ++reference_.unmaps;
}

void IoasComparison::UnmapAll() {
  backend_.RefuseNext(0);
  const uint64_t bytes = reference_.BytesMapped();
  FUZZ_REQUIRE(space_.UnmapAll() == bytes);
  reference_.unmaps += reference_.mappings.size();
  reference_.mappings.clear();
}

void IoasComparison::Reserve() {
  IovaRange range = TakeRange(input_);
  // Not only whole pages.
  range.first += input_.Take<uint8_t>();
  const uint32_t owner = input_.TakeBelow(4);
  int expected = 0;
  if (reference_.FindMapping(range) != nullptr) {
    expected = EADDRINUSE;
  } else if (reference_.reserved.size() == ioas::kMaxReservedRanges) {
    expected = ENOSPC;
  }
  FUZZ_REQUIRE(space_.Reserve(range, owner).error().code == expected);
  if (expected == 0) reference_.reserved.push_back({range, owner});
}

// Fills the arena, so that nothing more can be allocated, or makes room again.
void IoasComparison::Refill(bool is_full) {
  for (const auto& [unit, size] : filler_) arena_.Free(unit, size);
  filler_.clear();
  if (!is_full) return;
  for (size_t size = kArenaSize; size >= 64; size /= 2) {
    for (auto unit = arena_.Allocate(size); unit.ok(); unit = arena_.Allocate(size)) {
      filler_.emplace_back(*unit, size);
    }
  }
}

// Questions that change nothing.
void IoasComparison::Ask() {
  const uint64_t place = TakePlace(input_);
  const uint64_t iova = place + input_.Take<uint8_t>();
  const uint32_t access = 1 + input_.TakeBelow(2);
  const auto found = space_.Translate(iova, access);
  const uint32_t number = reference_.FindWindow(iova);
  FUZZ_REQUIRE(space_.FindWindow(iova).value_or(kMaxWindows) == number);
  std::optional<Mapping> expected;
  if (number < kMaxWindows) {
    const ReferenceWindow& window = *reference_.windows[number];
    expected = ReferenceSpace::FindRun(window, iova, iova);
  } else if (const Mapping* const mapping = reference_.FindMapping({iova, iova})) {
    expected = *mapping;
  }
  if (expected && (expected->flags & access) != 0) {
    FUZZ_REQUIRE(found.ok() && found->process == expected->owner);
    FUZZ_REQUIRE(found->user_address == expected->user_address + (iova - expected->first));
    FUZZ_REQUIRE(found->contiguous == expected->last - iova + 1);
  } else {
    FUZZ_REQUIRE(found.error().code == (expected ? EACCES : ENOENT));
  }

  const auto is_free = [this](const IovaRange& range) {
    for (const auto& each : reference_.windows) {
      if (each && each->range.Overlaps(range)) return false;
    }
    return reference_.IsUsable(range) && reference_.FindMapping(range) == nullptr;
  };
  const uint64_t size = kPage << input_.TakeBelow(52);
  const ioas::Result<uint64_t> window = space_.FindPlace(size);
  if (window.ok()) {
    FUZZ_REQUIRE(reference_.IsPlaceFor(*window, size));
    // The lowest: where there are few below it, none of them fits.
    for (uint64_t first = 0, tried = 0; first < *window && tried < 64; first += size, ++tried) {
      FUZZ_REQUIRE(!reference_.IsPlaceFor(first, size));
    }
  } else {
    FUZZ_REQUIRE(window.error().code == ENOSPC);
    FUZZ_REQUIRE(!reference_.IsPlaceFor(TakePlace(input_) & -size, size));
  }
  const ioas::RangeRequest request = {.size = size, .alignment = kPage, .lowest = iova};
  const ioas::Result<IovaRange> range = space_.FindRange(request);
  const auto largest = space_.FindLargestRange(request);
  if (range.ok()) {
    FUZZ_REQUIRE(range->first >= iova && range->first % kPage == 0);
    FUZZ_REQUIRE(range->last - range->first == size - 1 && is_free(*range));
  }
  FUZZ_REQUIRE(range.ok() == (largest && largest->last - largest->first >= size - 1));
  FUZZ_REQUIRE(!largest || is_free(*largest));
  ListFree({iova, iova + (size - 1) < iova ? UINT64_MAX : iova + (size - 1)});
}

// Of what is usable, all that is not mapped and no window's.
void IoasComparison::ListFree(const IovaRange& limits) {
  std::vector<IovaRange> taken;
  for (const auto& [first, mapping] : reference_.mappings) taken.push_back({first, mapping.last});
  for (const auto& each : reference_.windows) {
    if (each) taken.push_back(each->range);
  }
  std::vector<IovaRange> free;
  for (const IovaRange& usable : reference_.UsableRanges()) {
    if (usable.Overlaps(limits)) {
      free.push_back({std::max(usable.first, limits.first), std::min(usable.last, limits.last)});
    }
  }
  for (const IovaRange& range : taken) {
    std::vector<IovaRange> left;
    for (const IovaRange& each : free) {
      if (!each.Overlaps(range)) {
        left.push_back(each);
        continue;
      }
      if (each.first < range.first) left.push_back({each.first, range.first - 1});
      if (each.last > range.last) left.push_back({range.last + 1, each.last});
    }
    free = left;
  }
  IovaRange found[64];
  const size_t count = space_.FreeRanges(limits, found);
  FUZZ_REQUIRE(count == std::min(free.size(), std::size(found) + 1));
  FUZZ_REQUIRE(std::equal(free.begin(), free.begin() + std::min(count, std::size(found)), found));
}

void IoasComparison::RequireSame() {
  ioas::MappingIndex index = space_.mappings();
  FUZZ_REQUIRE(index.Validate() && index.size() == reference_.mappings.size());
  auto expected = reference_.mappings.begin();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first), ++expected) {
    FUZZ_REQUIRE(*mapping == expected->second);
  }
  FUZZ_REQUIRE(expected == reference_.mappings.end());
  IovaRange ranges[ioas::kMaxUsableRanges];
  const uint32_t count = space_.UsableRanges(ranges);
  FUZZ_REQUIRE(std::vector<IovaRange>(ranges, ranges + count) == reference_.UsableRanges());
  RequireSameWindows();
  FUZZ_REQUIRE(backend_.HoldsExactly(reference_));
  const ioas::AddressSpaceStatistics& statistics = space_.statistics();
  FUZZ_REQUIRE(statistics.maps == reference_.maps && statistics.unmaps == reference_.unmaps);
  FUZZ_REQUIRE(statistics.bytes_mapped == reference_.BytesMapped());
  FUZZ_REQUIRE(space_.state().live_mappings() == reference_.LiveMappings());
  FUZZ_REQUIRE(space_.MappingsLeft() == reference_.MappingsLeft());
  FUZZ_REQUIRE(space_.state().is_changing == 0);
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  fuzz::IoasComparison comparison(input);
  for (int step = 0; step < fuzz::kMaxSteps && !input.empty(); ++step) comparison.Step();
  return 0;
}
