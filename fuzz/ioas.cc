// Any sequence of what is done to an address space, with a backend that refuses, and an arena that
// is full, at any call: ioas::AddressSpace against maps of pages (ioas_reference.h). After each
// step the whole state agrees, so that a call that failed has changed nothing but what it says it
// does; what the backend was told agrees with it as well; and pages that lead elsewhere are
// reported, each once.
//
// An input: what the IOMMU is like, and steps of one byte and their operands.
#include <cerrno>
#include <vector>

#include "fuzz/input.h"
#include "fuzz/ioas_backend.h"
#include "fuzz/ioas_input.h"
#include "fuzz/ioas_reference.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"

namespace fuzz {
namespace {

using ioas::kMaxWindows;
using ioas::Mapping;

constexpr uint32_t kMappingLimit = 12;
constexpr size_t kArenaSize = 1 << 20;
constexpr int kMaxSteps = 100;
// A run's pages, so that looking at each of them stays cheap.
constexpr uint32_t kMaxRun = 96;

// One address space, its reference and its backend.
class Comparison {
 public:
  explicit Comparison(Input& input)
      : input_(input),
        arena_(*ioas::Arena::CreatePrivate(kArenaSize)),
        space_(arena_, *ioas::AddressSpace::Create(arena_, {}, kMappingLimit), &backend_) {
    reference_.mapping_limit = kMappingLimit;
    SetProperties();
  }
  ~Comparison() {
    // What was made is all there is: nothing stays behind.
    for (uint32_t number = 0; number < kMaxWindows; ++number) RemoveWindow(number);
    UnmapAll();
    RequireSame();
    Refill(false);
    space_.Destroy();
    FUZZ_REQUIRE(arena_.bytes_in_use() == bytes_before_);
    arena_.Unmap();
  }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  // Takes one step, and compares everything.
  void Step();

 private:
  void SetProperties();
  void Map();
  void Unmap();
  void UnmapAll();
  void Reserve();
  void AddWindow();
  void RemoveWindow(uint32_t number);
  void MapRun();
  void UnmapRun();
  void Ask();
  void Refill(bool is_full);
  // A window that is there, and a range of its pages; null if there is none.
  ReferenceWindow* TakePages(uint32_t& number, IovaRange& iovas);
  // Whether a call that the reference refuses with `expected` ended as it has to. The backend's
  // refusal, and a full arena, come after everything else.
  bool Agrees(const ioas::Status& status, int expected) const;
  void RequireSame();
  void RequireSameWindows();

  Input& input_;
  RefusingBackend backend_;
  ioas::Arena arena_;
  size_t bytes_before_ = arena_.bytes_in_use();
  ioas::AddressSpace space_;
  ReferenceSpace reference_;
  std::vector<std::pair<uint32_t, size_t>> filler_;
};

void Comparison::Step() {
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

bool Comparison::Agrees(const ioas::Status& status, int expected) const {
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

void Comparison::SetProperties() {
  const ioas::IommuProperties iommu = TakeProperties(input_);
  space_.SetProperties(iommu);
  reference_.has_windows_anywhere = iommu.has_windows_anywhere;
  reference_.apertures.assign(iommu.apertures.begin(), iommu.apertures.end());
  reference_.reserved.clear();
  for (const IovaRange& range : iommu.reserved) {
    reference_.reserved.push_back({range, ioas::kIommuOwner});
  }
}

void Comparison::Map() {
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

void Comparison::Unmap() {
  if (reference_.mappings.empty()) return;
  auto chosen = reference_.mappings.begin();
  std::advance(chosen, input_.TakeBelow(static_cast<uint32_t>(reference_.mappings.size())));
  if (!Agrees(space_.Unmap(chosen->second), 0)) return;
  reference_.mappings.erase(chosen);
  ++reference_.unmaps;
}

void Comparison::UnmapAll() {
  backend_.RefuseNext(0);
  const uint64_t bytes = reference_.BytesMapped();
  FUZZ_REQUIRE(space_.UnmapAll() == bytes);
  reference_.unmaps += reference_.mappings.size();
  reference_.mappings.clear();
}

void Comparison::Reserve() {
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

void Comparison::AddWindow() {
  const uint32_t number = input_.TakeBelow(kMaxWindows);
  if (reference_.windows[number]) return;
  const uint64_t first = TakePlace(input_);
  const uint32_t page_shift = 12 + input_.TakeBelow(8);
  uint64_t pages = 1 + uint64_t{input_.Take<uint8_t>()};
  const uint32_t shift = input_.TakeBelow(45);
  pages <<= shift;
  const uint32_t process = input_.TakeBelow(8);
  if (pages > uint64_t{1} << 52) return;
  const int expected = reference_.AddWindowErrno(first, pages, page_shift);
  const ioas::Status added = space_.AddWindow(number, first, pages, page_shift, process);
  FUZZ_REQUIRE(added.error().code == expected);
  if (expected != 0) return;
  const uint64_t bytes = pages << page_shift;
  reference_.windows[number] = {{first, first + (bytes - 1)}, page_shift, process, {}};
}

void Comparison::RemoveWindow(uint32_t number) {
  auto& window = reference_.windows[number];
  // A window goes whatever the backend says.
  backend_.RefuseNext(0);
  Gone gone(window ? window->page_shift : 12);
  space_.RemoveWindow(number, gone);
  if (!window) {
    FUZZ_REQUIRE(gone.addresses.empty());
    return;
  }
  reference_.unmaps += window->pages.size();
  FUZZ_REQUIRE(gone.addresses == ReferenceSpace::TakePages(*window, window->range));
  window.reset();
}

ReferenceWindow* Comparison::TakePages(uint32_t& number, IovaRange& iovas) {
  number = input_.TakeBelow(kMaxWindows);
  if (!reference_.windows[number]) number = 1 - number;
  if (!reference_.windows[number]) return nullptr;
  ReferenceWindow& window = *reference_.windows[number];
  const uint64_t pages = ((window.range.last - window.range.first) >> window.page_shift) + 1;
  // From its start, or up to its end.
  uint64_t first = input_.Take<uint16_t>() % pages;
  const uint64_t count = 1 + input_.TakeBelow(kMaxRun) % (pages - first);
  if (input_.TakeBelow(2) != 0) first = pages - count;
  iovas.first = window.range.first + (first << window.page_shift);
  iovas.last = iovas.first + ((count << window.page_shift) - 1);
  return &window;
}

void Comparison::MapRun() {
  uint32_t number = 0;
  IovaRange iovas{};
  ReferenceWindow* const window = TakePages(number, iovas);
  if (window == nullptr) return;
  const ioas::PageRun run = {.iovas = iovas,
                             .user_address = uint64_t{input_.Take<uint16_t>()} * kPage,
                             .access = 1 + input_.TakeBelow(3),
                             .pin = std::nullopt};
  Gone gone(window->page_shift);
  const int expected = reference_.MapRunErrno(*window, run);
  const size_t calls_before = backend_.calls();
  const ioas::Status mapped = space_.MapRun(number, run, gone);
  if (!Agrees(mapped, expected)) {
    // The backend's own refusals are two kinds; what came before it is neither.
    const bool was_asked = backend_.calls() != calls_before;
    const bool is_lost = was_asked && mapped.error().code != EFAULT;
    std::vector<uint64_t> lost;
    const size_t before = window->pages.size();
    if (is_lost) lost = ReferenceSpace::TakePages(*window, iovas);
    FUZZ_REQUIRE(gone.addresses == lost);
    reference_.unmaps += before - window->pages.size();
    return;
  }
  const size_t before = window->pages.size();
  FUZZ_REQUIRE(gone.addresses == ReferenceSpace::TakePages(*window, iovas));
  reference_.unmaps += before - window->pages.size();
  for (uint64_t at = 0; at <= iovas.last - iovas.first; at += window->page_size()) {
    window->pages[iovas.first + at] = {run.user_address + at, run.access};
    ++reference_.maps;
  }
}

void Comparison::UnmapRun() {
  uint32_t number = 0;
  IovaRange iovas{};
  ReferenceWindow* const window = TakePages(number, iovas);
  if (window == nullptr) return;
  Gone gone(window->page_shift);
  const size_t before = window->pages.size();
  if (Agrees(space_.UnmapRun(number, iovas, gone), 0)) {
    FUZZ_REQUIRE(gone.addresses == ReferenceSpace::TakePages(*window, iovas));
  } else {
    FUZZ_REQUIRE(gone.addresses.empty());
  }
  reference_.unmaps += before - window->pages.size();
}

// Fills the arena, so that nothing more can be allocated, or makes room again.
void Comparison::Refill(bool is_full) {
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
void Comparison::Ask() {
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
}

void Comparison::RequireSame() {
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

void Comparison::RequireSameWindows() {
  for (uint32_t number = 0; number < kMaxWindows; ++number) {
    const auto& window = reference_.windows[number];
    FUZZ_REQUIRE(space_.HasWindow(number) == window.has_value());
    if (!window) continue;
    FUZZ_REQUIRE(space_.window(number).range == window->range);
    FUZZ_REQUIRE(space_.window(number).table.mapped == window->pages.size());
    for (uint64_t iova = window->range.first;;) {
      const auto run = space_.FindRun(number, iova, window->range.last);
      FUZZ_REQUIRE(run == ReferenceSpace::FindRun(*window, iova, window->range.last));
      if (!run || run->last == UINT64_MAX) break;
      iova = run->last + 1;
    }
  }
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  fuzz::Comparison comparison(input);
  for (int step = 0; step < fuzz::kMaxSteps && !input.empty(); ++step) comparison.Step();
  return 0;
}
