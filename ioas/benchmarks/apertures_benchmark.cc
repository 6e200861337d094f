// What mapping costs in an address space of many apertures, beside one of a single aperture.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ioas/address_space.h"
#include "ioas/base/arena.h"

namespace ioas {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kStride = uint64_t{1} << 32;
constexpr uint64_t kLiveMappings = 10'000;
constexpr int kPairs = 20'000;  // of MAP and UNMAP in a batch
constexpr size_t kArenaBytes = size_t{256} << 20;

// Carries nothing out, so that the model alone is measured.
class NoIommu final : public Backend {
  Status Map(const IoasHandle&, const Mapping&) override { return {}; }
  Status Unmap(const IoasHandle&, const Mapping&) override { return {}; }
  void Discard(const IoasHandle&, const IovaRange&) override {}
};

// An address space with `count` apertures, half as long as they lie apart, and mappings in all.
class Space {
 public:
  explicit Space(uint32_t count) : count_(count) {
    Result<Arena> arena = Arena::CreatePrivate(kArenaBytes);
    if (!arena.ok()) std::abort();
    arena_ = *arena;
    for (uint64_t i = 0; i < count; ++i) {
      apertures_.push_back({i * kStride, i * kStride + kStride / 2 - 1});
    }
    const auto state = AddressSpace::Create(
        arena_, {.page_sizes = kPage, .apertures = apertures_, .reserved = {}}, UINT32_MAX);
    if (!state.ok()) std::abort();
    state_ = *state;
    for (uint64_t i = 0; i < kLiveMappings; ++i) Map(PlaceOf(i) + kStride / 4);
  }

  // Nanoseconds for one MAP and one UNMAP of a page.
  double Batch() {
    const auto start = Clock::now();
    for (uint64_t i = 0; i < kPairs; ++i) {
      Map(PlaceOf(i));
      AddressSpace space(arena_, state_, &backend_);
      const AddressSpace::Lock lock(space);
      const auto mapping = space.mappings().FindContaining(PlaceOf(i));
      if (!mapping || !space.Unmap(*mapping).ok()) std::abort();
    }
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kPairs;
  }

 private:
  // Pages one after the other, in all apertures in turn.
  uint64_t PlaceOf(uint64_t i) const {
    return i % count_ * kStride + i / count_ % (kStride / 8 / kPage) * 2 * kPage;
  }
  void Map(uint64_t iova) {
    AddressSpace space(arena_, state_, &backend_);
    const AddressSpace::Lock lock(space);
    const Mapping mapping = {.first = iova,
                             .last = iova + kPage - 1,
                             .user_address = kPage,
                             .owner = 0,
                             .flags = kAccessRead | kAccessWrite};
    if (!space.Map(mapping).ok()) std::abort();
  }

  uint32_t count_;
  Arena arena_;
  NoIommu backend_;
  std::vector<IovaRange> apertures_;
  ArenaRef<AddressSpaceState> state_;
};

double Median(std::vector<double> samples) {
  std::nth_element(samples.begin(), samples.begin() + static_cast<ptrdiff_t>(samples.size() / 2),
                   samples.end());
  return samples[samples.size() / 2];
}

// In turns with the single aperture, so that both see the same machine.
void MapBesideOneAperture(benchmark::State& state) {
  Space one(1);
  Space many(static_cast<uint32_t>(state.range(0)));
  std::vector<double> ones;
  std::vector<double> manys;
  std::vector<double> ratios;
  for (auto _ : state) {
    ones.push_back(one.Batch());
    manys.push_back(many.Batch());
    ratios.push_back(manys.back() / ones.back());
  }
  state.counters["one_ns"] = Median(ones);
  state.counters["many_ns"] = Median(manys);
  state.counters["ratio"] = Median(ratios);
}
BENCHMARK(MapBesideOneAperture)->Arg(1)->Arg(8)->Arg(64)->Iterations(101);

}  // namespace
}  // namespace ioas

BENCHMARK_MAIN();
