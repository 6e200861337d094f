// What the target `ioas` makes of an input: properties of IOMMUs, addresses, limits.
#ifndef FUZZ_IOAS_INPUT_H_
#define FUZZ_IOAS_INPUT_H_

#include <span>
#include <vector>

#include "fuzz/input.h"
#include "ioas/address_space.h"

namespace fuzz {

using ioas::IovaRange;

inline constexpr uint64_t kPage = 4096;
inline constexpr IovaRange kWhole[] = {{0, UINT64_MAX}};
inline constexpr IovaRange kTwo[] = {{0, 0xffffffff}, {0x100000000, 0x7fffffffff}};
inline constexpr IovaRange kNarrow[] = {{0x8000, 0x47fff}, {0x100000, 0x1fffff}};
inline constexpr IovaRange kInterrupts[] = {{0xfee00000, 0xfeefffff}};
inline constexpr IovaRange kOdd[] = {{0x9800, 0x9801}, {0x20000, 0x20fff}, {0x120000, UINT64_MAX}};

// Collects where pages led, in pieces of the smallest page.
class Gone final : public ioas::PageRunSink {
 public:
  explicit Gone(uint32_t page_shift) : page_shift_(page_shift) {}
  void OnRun(uint64_t user_address, uint64_t pages) override {
    FUZZ_REQUIRE(pages != 0);
    for (uint64_t at = 0; at < pages << page_shift_; at += kPage) {
      addresses.push_back(user_address + at);
    }
  }
  std::vector<uint64_t> addresses;

 private:
  uint32_t page_shift_;
};

// What an IOMMU is like: one of a few.
inline ioas::IommuProperties TakeProperties(Input& input) {
  constexpr std::span<const IovaRange> kApertures[] = {kWhole, kTwo, kNarrow};
  constexpr std::span<const IovaRange> kReserved[] = {{}, kInterrupts, kOdd};
  ioas::IommuProperties iommu{};
  iommu.page_sizes = kPage | kPage << 9;
  iommu.apertures = kApertures[input.TakeBelow(3)];
  iommu.reserved = kReserved[input.TakeBelow(3)];
  iommu.has_windows_anywhere = input.TakeBelow(2) != 0;
  return iommu;
}

// An address near those where something begins or ends.
inline uint64_t TakePlace(Input& input) {
  constexpr uint64_t kPlaces[] = {0,          0x8000,       0x100000,          0xfedf0000,
                                  0xfffe0000, 0x7ffffe0000, uint64_t{1} << 63, ~uint64_t{0x1ffff}};
  const uint64_t place = kPlaces[input.TakeBelow(std::size(kPlaces))];
  return place + uint64_t{input.Take<uint8_t>()} % 32 * kPage;
}

// Some pages from such a place on.
inline IovaRange TakeRange(Input& input) {
  const uint64_t first = TakePlace(input);
  const uint64_t bytes = (uint64_t{input.TakeBelow(64)} + 1) * kPage;
  return {first, bytes - 1 > UINT64_MAX - first ? UINT64_MAX : first + (bytes - 1)};
}

// Limits that may be set: ascending ranges of which none touches the next.
inline ioas::MappingLimits TakeLimits(Input& input) {
  ioas::MappingLimits limits{.bytes = uint64_t{input.TakeBelow(64)} * kPage,
                             .mappings = input.TakeBelow(32),
                             .range_count = 0,
                             .ranges = {}};
  const uint32_t count = input.TakeBelow(4);
  for (uint32_t i = 0; i < count; ++i) {
    const IovaRange range = TakeRange(input);
    if (limits.range_count != 0) {
      const uint64_t before = limits.ranges[limits.range_count - 1].last;
      if (before == UINT64_MAX || range.first <= before + 1) continue;
    }
    limits.ranges[limits.range_count++] = range;
  }
  return limits;
}

}  // namespace fuzz

#endif  // FUZZ_IOAS_INPUT_H_
