#include "ioas/soft/iommu_profile.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace ioas::soft {
namespace {

constexpr uint64_t k4K = uint64_t{1} << 12;
constexpr uint64_t k64K = uint64_t{1} << 16;
constexpr uint64_t k2M = uint64_t{1} << 21;
constexpr uint64_t k1G = uint64_t{1} << 30;

// More than any intersection of the apertures below leaves.
constexpr size_t kMostApertures = 4;

struct Iommu {
  uint64_t page_sizes = 0;
  std::array<IovaRange, kMostApertures> apertures = {};
  uint32_t aperture_count = 0;
  bool has_interrupts = false;
  bool has_windows_anywhere = false;
};

constexpr Iommu kX86 = {.page_sizes = k4K | k2M | k1G,
                        .apertures = {{{0, (uint64_t{1} << 39) - 1}}},
                        .aperture_count = 1,
                        .has_interrupts = true,
                        .has_windows_anywhere = false};
// A table resolves fewer than 56 bits (ppc/platform.cc).
constexpr uint64_t kSelected = uint64_t{1} << 59;
constexpr Iommu kPower = {
    .page_sizes = k4K | k64K | k2M | k1G,
    .apertures = {{{0, 2 * k1G - 1}, {kSelected, kSelected + (uint64_t{1} << 55) - 1}}},
    .aperture_count = 2,
    .has_interrupts = false,
    .has_windows_anywhere = false};
// The last page of all is left out, where the end of a range wraps around to 0.
constexpr uint64_t kHalf = uint64_t{1} << 47;
constexpr Iommu kSignExtended = {.page_sizes = k4K | k2M | k1G,
                                 .apertures = {{{0, kHalf - 1}, {-kHalf, -k4K - 1}}},
                                 .aperture_count = 2,
                                 .has_interrupts = false,
                                 .has_windows_anywhere = false};

constexpr Iommu Auto() {
  Iommu iommu = kX86;
  iommu.has_windows_anywhere = true;
  return iommu;
}

// In the order of IommuProfile.
constexpr Iommu kAll[kIommuProfiles] = {Auto(), kX86, kPower, kSignExtended};

constexpr Iommu Intersect(const Iommu& one, const Iommu& other) {
  Iommu both = {.page_sizes = one.page_sizes & other.page_sizes,
                .apertures = {},
                .aperture_count = 0,
                .has_interrupts = one.has_interrupts || other.has_interrupts,
                .has_windows_anywhere = one.has_windows_anywhere && other.has_windows_anywhere};
  for (uint32_t i = 0; i < one.aperture_count; ++i) {
    for (uint32_t k = 0; k < other.aperture_count; ++k) {
      const IovaRange& range = one.apertures[i];
      const IovaRange& second = other.apertures[k];
      if (!range.Overlaps(second)) continue;
      both.apertures[both.aperture_count++] = {std::max(range.first, second.first),
                                               std::min(range.last, second.last)};
    }
  }
  return both;
}

constexpr size_t kSets = size_t{1} << kIommuProfiles;

constexpr std::array<Iommu, kSets> MakeSets() {
  std::array<Iommu, kSets> sets = {};
  for (size_t set = 1; set < kSets; ++set) {
    bool is_first = true;
    for (uint32_t profile = 0; profile < kIommuProfiles; ++profile) {
      if ((set >> profile & 1) == 0) continue;
      sets[set] = is_first ? kAll[profile] : Intersect(sets[set], kAll[profile]);
      is_first = false;
    }
  }
  return sets;
}

constexpr std::array<Iommu, kSets> kIommus = MakeSets();
// Where x86 devices write their message signalled interrupts.
constexpr IovaRange kInterrupts[] = {{0xfee00000, 0xfeefffff}};

}  // namespace

IommuProperties PropertiesOf(IommuProfileSet profiles) {
  const Iommu& iommu = kIommus[profiles % kSets];
  return {.page_sizes = iommu.page_sizes,
          .apertures = std::span(iommu.apertures).first(iommu.aperture_count),
          .reserved = iommu.has_interrupts ? std::span(kInterrupts) : std::span<const IovaRange>(),
          .has_windows_anywhere = iommu.has_windows_anywhere,
          .tracks_dirty_pages = true};
}

}  // namespace ioas::soft
