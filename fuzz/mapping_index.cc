// Mappings entered and removed in any order, thousands at a time, also where the arena is full:
// ioas::MappingIndex against a map. In the end the nodes are damaged, as by a process that died
// while it changed them: the index sees it or is whole, and can be emptied either way.
//
// An input: steps of one byte and their operands.
#include "ioas/mapping_index.h"

#include <cerrno>
#include <map>
#include <vector>

#include "fuzz/input.h"
#include "ioas/base/arena.h"

namespace fuzz {
namespace {

using ioas::Mapping;
using ioas::MappingIndex;

constexpr size_t kArenaSize = 1 << 20;
constexpr int kMaxSteps = 24;
constexpr uint32_t kMaxRun = 2600;
constexpr uint64_t kPage = 4096;

class Comparison {
 public:
  explicit Comparison(Input& input)
      : input_(input),
        arena_(*ioas::Arena::CreatePrivate(kArenaSize)),
        state_(arena_.Get(*arena_.New<ioas::MappingIndexState>())),
        index_(arena_, state_) {}
  ~Comparison() { arena_.Unmap(); }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  void Step();
  void Damage();

 private:
  // Some places, each `stride` pages behind the one before or in front of it.
  std::vector<uint64_t> TakePlaces();
  void Insert();
  void Erase();
  void Ask();
  void Update();
  void Refill();
  const Mapping* FindContaining(uint64_t iova) const;
  const Mapping* FirstAbove(uint64_t first) const;
  bool IsFree(uint64_t first, uint64_t last) const;
  void RequireSame() const;

  Input& input_;
  ioas::Arena arena_;
  ioas::MappingIndexState* state_;
  MappingIndex index_;
  std::map<uint64_t, Mapping> expected_;
  std::vector<std::pair<uint32_t, size_t>> filler_;
};

std::vector<uint64_t> Comparison::TakePlaces() {
  const uint32_t count =
      input_.TakeBelow(2) == 0 ? 1 + input_.TakeBelow(20) : 1 + input_.Take<uint16_t>() % kMaxRun;
  const uint64_t first = uint64_t{input_.Take<uint16_t>()} << (input_.TakeBelow(2) == 0 ? 12 : 48);
  const uint64_t stride = kPage * (1 + input_.TakeBelow(4));
  const uint64_t step = input_.TakeBelow(2) == 0 ? stride : -stride;
  std::vector<uint64_t> places(count);
  for (uint32_t i = 0; i < count; ++i) places[i] = first + i * step;
  return places;
}

const Mapping* Comparison::FirstAbove(uint64_t first) const {
  const auto next = expected_.upper_bound(first);
  return next == expected_.end() ? nullptr : &next->second;
}

const Mapping* Comparison::FindContaining(uint64_t iova) const {
  const auto next = expected_.upper_bound(iova);
  if (next == expected_.begin()) return nullptr;
  const Mapping& before = std::prev(next)->second;
  return before.last >= iova ? &before : nullptr;
}

bool Comparison::IsFree(uint64_t first, uint64_t last) const {
  const Mapping* const above = FirstAbove(first);
  return FindContaining(first) == nullptr && (above == nullptr || above->first > last);
}

void Comparison::Insert() {
  const uint64_t size = kPage * (1 + input_.TakeBelow(3));
  const auto user_address = input_.Take<uint16_t>() * kPage;
  const uint32_t owner = input_.TakeBelow(4);
  for (const uint64_t first : TakePlaces()) {
    const Mapping mapping = {first, first + (size - 1), user_address, owner, 3, 7};
    int expected = 0;
    if (mapping.last < first) {
      expected = EINVAL;
    } else if (!IsFree(first, mapping.last)) {
      expected = EEXIST;
    }
    const int code = index_.Insert(mapping).error().code;
    FUZZ_REQUIRE(code == expected || (expected == 0 && code == ENOMEM && !filler_.empty()));
    if (code == 0) expected_[first] = mapping;
  }
}

void Comparison::Erase() {
  for (const uint64_t first : TakePlaces()) {
    FUZZ_REQUIRE(index_.Erase(first) == (expected_.erase(first) != 0));
  }
}

void Comparison::Ask() {
  const uint64_t iova = TakePlaces().back() + input_.Take<uint8_t>();
  const uint64_t last = iova + input_.Take<uint16_t>();
  const Mapping* const there = FindContaining(iova);
  const Mapping* const above = FirstAbove(iova);
  const auto is = [](const std::optional<Mapping>& found, const Mapping* expected) {
    return expected == nullptr ? !found : found == *expected;
  };
  const MappingIndex::Place place = index_.Find(iova);
  FUZZ_REQUIRE(is(MappingIndex::At(place), there) && is(index_.FindContaining(iova), there));
  FUZZ_REQUIRE(is(index_.Next(iova), above));
  if (last < iova) return;
  FUZZ_REQUIRE(index_.IsFree(place, last) == IsFree(iova, last));
  const Mapping* first = there;
  if (first == nullptr && above != nullptr && above->first <= last) first = above;
  FUZZ_REQUIRE(is(index_.FindFirstOverlapping(iova, last), first));
}

void Comparison::Update() {
  const uint64_t first = TakePlaces().front();
  const auto there = expected_.find(first);
  const bool updated = index_.Update(first, [](Mapping& mapping) { mapping.user_address += 1; });
  FUZZ_REQUIRE(updated == (there != expected_.end()));
  if (updated) ++there->second.user_address;
}

// Fills the arena but for some blocks, or makes room again.
void Comparison::Refill() {
  for (const auto& [unit, size] : filler_) arena_.Free(unit, size);
  const bool was_full = !filler_.empty();
  filler_.clear();
  if (was_full) return;
  for (size_t size = kArenaSize; size >= 64; size /= 2) {
    for (auto unit = arena_.Allocate(size); unit.ok(); unit = arena_.Allocate(size)) {
      filler_.emplace_back(*unit, size);
    }
  }
  for (uint32_t blocks = input_.TakeBelow(8); blocks != 0 && filler_.size() > 1; --blocks) {
    arena_.Free(filler_.back().first, filler_.back().second);
    filler_.pop_back();
  }
}

void Comparison::RequireSame() const {
  FUZZ_REQUIRE(index_.Validate() && index_.size() == expected_.size());
  auto expected = expected_.begin();
  for (auto mapping = index_.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index_.Next(mapping->first), ++expected) {
    FUZZ_REQUIRE(expected != expected_.end() && *mapping == expected->second);
  }
  FUZZ_REQUIRE(expected == expected_.end());
}

// A process may die after any store. Whatever is in the nodes then, looking at them ends.
void Comparison::Damage() {
  const uint32_t damages = input_.TakeBelow(4);
  if (damages == 0) return;
  for (uint32_t i = 0; i < damages; ++i) {
    const uint32_t unit = state_->root + input_.TakeBelow(32);
    const uint32_t word = input_.TakeBelow(16);
    if (state_->root == 0 || !arena_.Contains(unit, ioas::kArenaUnit)) continue;
    arena_.Get(ioas::ArenaRef<uint32_t>{unit})[word] = input_.Take<uint16_t>();
  }
  if (input_.TakeBelow(4) == 0) state_->height = input_.Take<uint8_t>();
  if (input_.TakeBelow(4) == 0) state_->root = input_.Take<uint16_t>();
  if (input_.TakeBelow(4) == 0) state_->size = input_.Take<uint16_t>();
  if (index_.Validate()) {
    size_t mappings = 0;
    for (auto mapping = index_.FindFirstOverlapping(0, UINT64_MAX); mapping;
         mapping = index_.Next(mapping->first)) {
      ++mappings;
    }
    FUZZ_REQUIRE(mappings == index_.size());
  }
  index_.Clear();
  expected_.clear();
  RequireSame();
  Insert();
  RequireSame();
}

void Comparison::Step() {
  switch (input_.TakeBelow(8)) {
    case 0:
    case 1:
    case 2:
      Insert();
      break;
    case 3:
    case 4:
      Erase();
      break;
    case 5:
      Ask();
      break;
    case 6:
      Update();
      break;
    default:
      Refill();
  }
  RequireSame();
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  fuzz::Comparison comparison(input);
  for (int step = 0; step < fuzz::kMaxSteps && !input.empty(); ++step) comparison.Step();
  comparison.Damage();
  return 0;
}
