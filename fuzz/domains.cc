// Address spaces that are there before any device is: domains that come and go, mappings at any
// byte, ranges that are allowed, places that are looked for; against lists that are walked
// (docs/fuzzing.md). After each step everything agrees, and the backend keeps or carries out
// exactly what is mapped.
//
// An input: steps of one byte and their operands.
#include "fuzz/domains.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <vector>

#include "fuzz/input.h"

namespace fuzz {
namespace {

using ioas::IovaRange;
using ioas::Mapping;

constexpr int kMaxSteps = 60;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kHuge = uint64_t{1} << 21;
constexpr IovaRange kWhole[] = {{0, UINT64_MAX}};
constexpr IovaRange kLow[] = {{0, 0x7fffffffff}};
constexpr IovaRange kTwo[] = {{0, 0x7fffffff}, {uint64_t{1} << 59, (uint64_t{1} << 59) + 0xffff}};
constexpr IovaRange kBehindZero[] = {{0x10000, UINT64_MAX}};

// What apertures leave out.
std::vector<IovaRange> Outside(std::span<const IovaRange> apertures) {
  std::vector<IovaRange> outside;
  uint64_t next = 0;
  for (const IovaRange& aperture : apertures) {
    if (aperture.first != next) outside.push_back({next, aperture.first - 1});
    next = aperture.last + 1;
  }
  if (next != 0) outside.push_back({next, UINT64_MAX});
  return outside;
}

}  // namespace

uint64_t DomainComparison::TakePlace() {
  constexpr uint64_t kPlaces[] = {0,          0x10000,     0x200000,          0x7fff0000,
                                  0x80000000, 0x7fffff000, uint64_t{1} << 59, ~uint64_t{0xffff}};
  const uint64_t place = kPlaces[input_.TakeBelow(std::size(kPlaces))];
  const uint64_t offset = input_.TakeBelow(16) * kPage;
  return place + offset + (input_.TakeBelow(8) == 7 ? input_.Take<uint16_t>() % kPage : 0);
}

uint64_t DomainComparison::TakeLength() {
  const uint32_t choice = input_.TakeBelow(8);
  // Any length is for places that no device needs aligned.
  if (choice == 7 && page_size() == 1) return 1 + input_.Take<uint16_t>();
  if (choice == 6) return kHuge << input_.TakeBelow(12);
  return (1 + input_.TakeBelow(16)) * kPage;
}

uint64_t DomainComparison::page_size() const {
  uint64_t size = small_pages_only_ ? kPage : 1;
  for (const Domain& domain : domains_) size = std::max(size, domain.smallest_page);
  return size;
}

bool DomainComparison::IsAligned(uint64_t alignment) const {
  return std::all_of(mappings_.begin(), mappings_.end(), [&](const auto& each) {
    const Mapping& mapping = each.second;
    return mapping.first % alignment == 0 && (mapping.last + 1) % alignment == 0 &&
           mapping.user_address % alignment == 0;
  });
}

bool DomainComparison::IsMapped(const IovaRange& range) const {
  return std::any_of(mappings_.begin(), mappings_.end(), [&](const auto& each) {
    return range.Overlaps({each.second.first, each.second.last});
  });
}

bool DomainComparison::IsReserved(const IovaRange& range) const {
  return std::any_of(reserved_.begin(), reserved_.end(),
                     [&](const auto& each) { return each.range.Overlaps(range); });
}

bool DomainComparison::IsAllowed(const IovaRange& range) const {
  return std::any_of(allowed_.begin(), allowed_.end(),
                     [&](const IovaRange& each) { return each.Overlaps(range); });
}

int DomainComparison::DomainErrno(uint64_t smallest, std::span<const IovaRange> outside) const {
  const uint64_t needed = std::max(smallest, page_size());
  if (needed > kPage) return EINVAL;
  if (needed != page_size() && !IsAligned(needed)) return EADDRINUSE;
  const bool is_met = std::any_of(outside.begin(), outside.end(), [&](const IovaRange& range) {
    return IsMapped(range) || IsAllowed(range);
  });
  return is_met ? EADDRINUSE : 0;
}

void DomainComparison::AddDomain() {
  constexpr std::span<const IovaRange> kApertures[] = {kWhole, kLow, kTwo, kBehindZero};
  constexpr uint64_t kPageSizes[] = {kPage, kPage | kHuge, 0x10000, 0x200 | kPage};
  const uint32_t owner = 10 + input_.TakeBelow(4);
  const std::span<const IovaRange> apertures = kApertures[input_.TakeBelow(4)];
  const uint64_t page_sizes = kPageSizes[input_.TakeBelow(4)];
  if (std::any_of(domains_.begin(), domains_.end(),
                  [&](const Domain& domain) { return domain.owner == owner; })) {
    return;
  }
  const uint64_t smallest = page_sizes & -page_sizes;
  const std::vector<IovaRange> outside = Outside(apertures);
  int expected = DomainErrno(smallest, outside);
  backend_.left = input_.TakeBelow(4) == 0 ? input_.TakeBelow(4) : UINT32_MAX;
  if (expected == 0 && domains_.empty() && mappings_.size() > backend_.left) expected = EFAULT;
  const auto state = *arena_.New<ioas::DomainState>();
  const ioas::Status added = space_.AddDomain(
      owner, {.page_sizes = page_sizes, .apertures = apertures, .reserved = {}}, state);
  backend_.left = UINT32_MAX;
  FUZZ_REQUIRE(added.error().code == expected);
  if (expected != 0) {
    arena_.Delete(state);
    return;
  }
  domains_.push_back({owner, smallest, state, std::nullopt});
  for (const IovaRange& range : outside) reserved_.push_back({range, owner});
}

void DomainComparison::RemoveDomain() { Remove(10 + input_.TakeBelow(4)); }

void DomainComparison::Remove(uint32_t owner) {
  space_.RemoveDomain(owner);
  for (const Domain& domain : domains_) {
    if (domain.owner == owner) arena_.Delete(domain.state);
  }
  std::erase_if(domains_, [&](const Domain& domain) { return domain.owner == owner; });
  std::erase_if(reserved_, [&](const auto& each) { return each.owner == owner; });
}

void DomainComparison::SetSmallPagesOnly() {
  const bool small = input_.TakeBelow(2) != 0;
  int expected = 0;
  if (small && page_size() < kPage && !IsAligned(kPage)) expected = EADDRINUSE;
  if (small && !small_pages_only_ && !domains_.empty() && !mappings_.empty()) expected = EINVAL;
  FUZZ_REQUIRE(space_.SetSmallPagesOnly(small).error().code == expected);
  if (expected == 0) small_pages_only_ = small;
}

void DomainComparison::Reserve() {
  const uint32_t owner = 1 + input_.TakeBelow(3);
  if (input_.TakeBelow(3) == 0) {
    space_.Release(owner);
    std::erase_if(reserved_, [&](const auto& each) { return each.owner == owner; });
    return;
  }
  const uint64_t first = TakePlace();
  const uint64_t last = first + (TakeLength() - 1);
  if (last < first) return;
  const IovaRange range = {first, last};
  const bool is_met = IsMapped(range) || IsAllowed(range);
  FUZZ_REQUIRE(space_.Reserve(range, owner).error().code == (is_met ? EADDRINUSE : 0));
  if (!is_met) reserved_.push_back({range, owner});
}

void DomainComparison::Allow() {
  std::vector<IovaRange> ranges;
  for (uint32_t count = input_.TakeBelow(4); count != 0; --count) {
    const uint64_t first = TakePlace();
    const uint64_t last = first + (TakeLength() - 1);
    if (last < first || (!ranges.empty() && first <= ranges.back().last)) continue;
    ranges.push_back({first, last});
  }
  const auto count = static_cast<uint32_t>(ranges.size());
  ioas::ArenaRef<IovaRange> block;
  if (count != 0) {
    block = *arena_.New<IovaRange>(count);
    std::copy(ranges.begin(), ranges.end(), arena_.Get(block));
  }
  const bool is_met = std::any_of(ranges.begin(), ranges.end(),
                                  [&](const IovaRange& range) { return IsReserved(range); });
  FUZZ_REQUIRE(space_.Allow(block, count).error().code == (is_met ? EADDRINUSE : 0));
  if (is_met) {
    arena_.Delete(block, count);
  } else {
    allowed_ = ranges;
  }
}

int DomainComparison::RoomErrno(uint64_t first, uint64_t length) const {
  if (first % page_size() != 0) return EINVAL;
  const uint64_t last = first + (length - 1);
  if (last < first) return EOVERFLOW;
  if (IsReserved({first, last})) return EINVAL;
  return IsMapped({first, last}) ? EEXIST : 0;
}

int DomainComparison::PiecesErrno(std::span<const Mapping> pieces) const {
  for (const Mapping& piece : pieces) {
    if ((piece.flags & ioas::kAccessWrite) != 0 && (piece.flags & ioas::kMayPermitWriting) == 0) {
      return EPERM;
    }
    if (piece.user_address % page_size() != 0) return EINVAL;
  }
  return !domains_.empty() && pieces.size() > backend_.left ? EFAULT : 0;
}

// One range of several pieces, as of memory that was mapped elsewhere.
void DomainComparison::Map() {
  const uint64_t first = TakePlace();
  std::vector<Mapping> pieces(1 + input_.TakeBelow(3));
  uint64_t length = 0;
  for (Mapping& piece : pieces) {
    const uint64_t size = TakeLength();
    piece = {.first = first + length,
             .last = first + length + (size - 1),
             .user_address = 0x7000000000 + input_.TakeBelow(64) * kPage,
             .owner = 1,
             .flags = input_.TakeBelow(8)};
    if (input_.TakeBelow(8) == 7) piece.user_address += input_.TakeBelow(256);
    length += size;
  }
  const int expected = RoomErrno(first, length);
  FUZZ_REQUIRE(space_.CheckRoom(first, length).error().code == expected);
  if (expected != 0) return;
  backend_.left = input_.TakeBelow(4) == 0 ? input_.TakeBelow(4) : UINT32_MAX;
  const int code = PiecesErrno(pieces);
  FUZZ_REQUIRE(space_.MapAll(pieces).error().code == code);
  backend_.left = UINT32_MAX;
  if (code != 0) return;
  for (const Mapping& piece : pieces) mappings_[piece.first] = piece;
}

void DomainComparison::Unmap() {
  const uint64_t first = input_.TakeBelow(4) == 0 ? 0 : TakePlace();
  const uint64_t last = input_.TakeBelow(4) == 0 ? UINT64_MAX : first + (TakeLength() - 1);
  if (last < first) return;
  uint64_t expected = 0;
  int code = 0;
  for (auto each = mappings_.begin(); each != mappings_.end() && code == 0;) {
    const Mapping& mapping = each->second;
    if (mapping.last < first || mapping.first > last) {
      ++each;
    } else if (mapping.first < first || mapping.last > last) {
      code = ENOENT;
    } else {
      expected += mapping.last - mapping.first + 1;
      ForgetDirty({mapping.first, mapping.last});
      each = mappings_.erase(each);
    }
  }
  uint64_t bytes = 0;
  FUZZ_REQUIRE(space_.UnmapWhole({first, last}, bytes).error().code == code);
  FUZZ_REQUIRE(bytes == expected);
}

// Goes from one thing in the way to the next one.
std::optional<uint64_t> DomainComparison::RoomIn(const IovaRange& range, uint64_t length,
                                                 uint64_t alignment, uint64_t offset) const {
  std::vector<IovaRange> in_the_way;
  for (const auto& [first, mapping] : mappings_) in_the_way.push_back({first, mapping.last});
  for (const auto& each : reserved_) in_the_way.push_back(each.range);
  std::sort(in_the_way.begin(), in_the_way.end(),
            [](const IovaRange& one, const IovaRange& other) { return one.first < other.first; });
  uint64_t next = range.first;
  in_the_way.push_back({range.last + 1, UINT64_MAX});
  for (const IovaRange& obstacle : in_the_way) {
    if (obstacle.last < next) continue;
    const uint64_t first = ((next + alignment - 1) & -alignment) | offset;
    const uint64_t last = std::min(range.last, obstacle.first - 1);
    // What would end the hole with its first byte is not taken, as by the kernel.
    const bool is_hole = obstacle.first > next && first >= next && first < last;
    if (is_hole && last - first >= length - 1) return first;
    if (obstacle.last >= range.last) break;
    next = obstacle.last + 1;
  }
  return std::nullopt;
}

void DomainComparison::FindRoom() {
  const uint64_t length = input_.TakeBelow(16) == 15 ? input_.Take<uint64_t>() : TakeLength();
  uint64_t address = input_.TakeBelow(4) == 0 ? 0 : input_.Take<uint16_t>() * kPage;
  if (input_.TakeBelow(4) == 3) address += input_.TakeBelow(256) * 16;
  const auto found = space_.FindRoom(length, address);
  uint64_t alignment = length <= kHuge ? std::bit_ceil(length) : kHuge;
  if (address != 0) alignment = std::min(alignment, address & -address);
  if (length == 0 || length >= UINT64_MAX / 2) {
    FUZZ_REQUIRE(found.error().code == EOVERFLOW);
    return;
  }
  if (alignment < page_size()) {
    FUZZ_REQUIRE(found.error().code == EINVAL);
    return;
  }
  std::vector<IovaRange> ranges = allowed_;
  if (ranges.empty()) ranges.push_back({0, UINT64_MAX});
  std::optional<uint64_t> expected;
  for (const IovaRange& range : ranges) {
    // Neither 0 nor the last page.
    const uint64_t first = std::max(range.first, kPage);
    const uint64_t last = std::min(range.last, UINT64_MAX - kPage);
    const uint64_t aligned = ((first + alignment - 1) & -alignment) | address % kPage;
    if (expected || aligned < first || aligned >= last) continue;
    expected = RoomIn({aligned, last}, length, alignment, address % kPage);
  }
  FUZZ_REQUIRE(found.ok() == expected.has_value());
  FUZZ_REQUIRE(found.ok() ? *found == *expected : found.error().code == ENOSPC);
}

void DomainComparison::Cut() {
  uint64_t last = TakePlace();
  last += input_.TakeBelow(2) * (kPage - 1);
  std::optional<ioas::Mapping> left;
  for (const auto& [first, mapping] : mappings_) {
    if (first < last && last < mapping.last) left = mapping;
  }
  if (!left) return FUZZ_REQUIRE(space_.CutAt(last).ok());
  ioas::Mapping right = *left;
  left->last = last;
  right.first = last + 1;
  right.user_address += right.first - left->first;
  const bool is_aligned = ((right.first | right.user_address) & (page_size() - 1)) == 0;
  const bool is_refused = !is_aligned || (!domains_.empty() && !small_pages_only_);
  FUZZ_REQUIRE(space_.CutAt(last).error().code == (is_refused ? EINVAL : 0));
  if (is_refused) return;
  // What the backend has is parts now.
  for (auto* const held : {&mappings_, domains_.empty() ? &backend_.kept : &backend_.carried_out}) {
    (*held)[left->first] = *left;
    (*held)[right.first] = right;
  }
}

void DomainComparison::RequireSame() const {
  ioas::AddressSpace space = space_;
  ioas::MappingIndex index = space.mappings();
  FUZZ_REQUIRE(index.Validate() && index.size() == mappings_.size());
  uint64_t bytes = 0;
  for (const auto& [first, mapping] : mappings_) {
    FUZZ_REQUIRE(index.FindContaining(first) == mapping);
    bytes += mapping.last - first + 1;
  }
  FUZZ_REQUIRE(space.statistics().bytes_mapped == bytes);
  FUZZ_REQUIRE(backend_.kept == (domains_.empty() ? mappings_ : decltype(mappings_)()));
  FUZZ_REQUIRE(backend_.carried_out == (domains_.empty() ? decltype(mappings_)() : mappings_));
  FUZZ_REQUIRE(space.page_size() == page_size());
  FUZZ_REQUIRE(space.state().domain_count == domains_.size());
}

void DomainComparison::Step() {
  switch (input_.TakeBelow(12)) {
    case 0:
    case 1:
      AddDomain();
      break;
    case 2:
      RemoveDomain();
      break;
    case 3:
      SetSmallPagesOnly();
      break;
    case 4:
      Reserve();
      break;
    case 5:
      Allow();
      break;
    case 6:
      Unmap();
      break;
    case 7:
      FindRoom();
      break;
    case 8:
      Dirty();
      break;
    case 9:
      Cut();
      break;
    default:
      Map();
  }
  RequireSame();
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  fuzz::DomainComparison comparison(input);
  for (int step = 0; step < fuzz::kMaxSteps && !input.empty(); ++step) comparison.Step();
  return 0;
}
