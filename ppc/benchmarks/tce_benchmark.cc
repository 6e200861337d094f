// What a TCE costs: MAP_DMA and UNMAP_DMA of SPAPR TCE version 2 beside those of type 1, on the
// software host, in one process. A call is an ioctl() from where the library has found its
// descriptor; the model is what of it is the address space's: page table or index, and backend.
//
//   one    a page at a time, each at a place of its own
//   run    512 pages in one call; times are by page
//
// And what a window's table takes in memory, by page that was mapped, if all are or one in so many.
//
// Type 1 faults its memory in at each mapping, which is a system call; a window's was when it was
// registered. Goals: 100 ns for one TCE in the model, 10 ns each in a run.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/soft/test_host.h"
#include "ioas/address_space.h"
#include "ioas/base/robust_mutex.h"
#include "ppc/container_personality.h"

namespace ppc {
namespace {

namespace abi = compat::abi;
using compat::soft::TestHost;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kRun = 512;
constexpr uint64_t kPages = 4096;  // that are used, one after the other
constexpr uint64_t kWindowPages = 1 << 19;
constexpr uint32_t kBoth = abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite;

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "tce_benchmark: %s\n", what);
  exit(1);
}

// The caller's structures, which are on its own stack.
class OwnMemory final : public compat::decode::CallerMemory {
 public:
  OwnMemory() : CallerMemory(0, UINT64_MAX) {}

 private:
  ioas::Status ReadCarefully(uint64_t /*address*/, std::span<std::byte> /*bytes*/) override {
    Fail("a structure lies elsewhere");
  }
  ioas::Status WriteCarefully(uint64_t /*address*/, std::span<const std::byte> /*bytes*/) override {
    Fail("a structure lies elsewhere");
  }
};

class NoSink final : public ioas::PageRunSink {
 public:
  void OnRun(uint64_t /*user_address*/, uint64_t /*pages*/) override {}
};

ContainerPersonality Either() {
  compat::settings::Settings settings;
  settings.container = compat::settings::ContainerTypes::kBoth;
  return ContainerPersonality(settings);
}

// A container of a type, with memory to map.
class World {
 public:
  explicit World(uint32_t type) : personality_(Either()), host_(personality_) {
    container_ = host_.ContainerOfType(type, group_);
    slot_ = host_.Slot(container_);
    memory_ = reinterpret_cast<uint64_t>(mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    if (type != abi::kSpaprTceV2Iommu) return;
    abi::SpaprRegisterMemory memory = {
        .argsz = sizeof(memory), .flags = 0, .vaddr = memory_, .size = kPages * kPage};
    Call(abi::kIommuSpaprRegisterMemory, &memory);
  }

  template <typename Structure>
  void Call(uint32_t request, Structure* structure) {
    if (!host_.host()
             .Ioctl(container_, slot_, {request, reinterpret_cast<uint64_t>(structure), caller_})
             .ok()) {
      Fail("a call failed");
    }
  }
  void Map(uint64_t page, uint64_t pages) {
    abi::DmaMap map = {.argsz = sizeof(map),
                       .flags = kBoth,
                       .vaddr = memory_ + page * kPage,
                       .iova = page * kPage,
                       .size = pages * kPage};
    Call(abi::kIommuMapDma, &map);
  }
  void Unmap(uint64_t page, uint64_t pages) {
    abi::DmaUnmap unmap = {
        .argsz = sizeof(unmap), .flags = 0, .iova = page * kPage, .size = pages * kPage};
    Call(abi::kIommuUnmapDma, &unmap);
  }

  TestHost& host() { return host_; }
  uint64_t memory() const { return memory_; }

 private:
  ContainerPersonality personality_;
  TestHost host_;
  OwnMemory caller_;
  int container_;
  int group_ = -1;
  uint32_t slot_;
  uint64_t memory_;
};

// The model alone, with the software host's backend.
class Model {
 public:
  Model()
      : world_(abi::kSpaprTceV2Iommu),
        arena_(world_.host().host().arena()),
        processes_(world_.host().platform().processes()),
        space_(arena_,
               *ioas::AddressSpace::Create(arena_, ioas::soft::SoftBackend(processes_).properties(),
                                           UINT32_MAX),
               &world_.host().platform().backend()),
        process_(*processes_.Register()) {}

  void AddWindow() {
    if (!space_.AddWindow(0, 0, kWindowPages, 12, process_).ok()) Fail("no window");
  }
  size_t bytes() const { return arena_.bytes_in_use(); }
  void MapTces(uint64_t page, uint64_t pages) {
    const ioas::AddressSpace::Lock lock(space_);
    NoSink nobody;
    const ioas::PageRun run = {
        .iovas = Iovas(page, pages),
        .user_address = world_.memory() + page % kPages * kPage,
        .access = kBoth,
        .pin = ioas::PinnedMemory{{world_.memory(), world_.memory() + kPages * kPage - 1}, 0}};
    if (!space_.MapRun(0, run, nobody).ok()) Fail("a run was refused");
  }
  void UnmapTces(uint64_t page, uint64_t pages) {
    const ioas::AddressSpace::Lock lock(space_);
    NoSink nobody;
    if (!space_.UnmapRun(0, Iovas(page, pages), nobody).ok()) Fail("a run was refused");
  }
  void MapWhole(uint64_t page, uint64_t pages) {
    const ioas::AddressSpace::Lock lock(space_);
    if (!space_.Map(Whole(page, pages)).ok()) Fail("a mapping was refused");
  }
  void UnmapWhole(uint64_t page, uint64_t pages) {
    const ioas::AddressSpace::Lock lock(space_);
    if (!space_.Unmap(Whole(page, pages)).ok()) Fail("a mapping was refused");
  }

 private:
  static ioas::IovaRange Iovas(uint64_t page, uint64_t pages) {
    return {page * kPage, (page + pages) * kPage - 1};
  }
  ioas::Mapping Whole(uint64_t page, uint64_t pages) const {
    return {.first = page * kPage,
            .last = (page + pages) * kPage - 1,
            .user_address = world_.memory() + page * kPage,
            .owner = process_,
            .flags = kBoth};
  }

  World world_;
  ioas::Arena arena_;
  ioas::ProcessTable processes_;
  ioas::AddressSpace space_;
  uint32_t process_;
};

// Times `map` and `unmap`, each called for all pages in steps of `step`; counts pages.
template <typename Map, typename Unmap>
void Time(benchmark::State& state, uint64_t step, bool times_map, Map map, Unmap unmap) {
  for (auto _ : state) {
    if (!times_map) state.PauseTiming();
    for (uint64_t page = 0; page < kPages; page += step) map(page, step);
    times_map ? state.PauseTiming() : state.ResumeTiming();
    for (uint64_t page = 0; page < kPages; page += step) unmap(page, step);
    if (times_map) state.ResumeTiming();
  }
  const auto pages = static_cast<double>(state.iterations() * kPages);
  state.counters["by_page"] =
      benchmark::Counter(pages, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void ModelOfWindows(benchmark::State& state) {
  Model model;
  model.AddWindow();
  Time(
      state, static_cast<uint64_t>(state.range(0)), state.range(1) == 0,
      [&](uint64_t page, uint64_t pages) { model.MapTces(page, pages); },
      [&](uint64_t page, uint64_t pages) { model.UnmapTces(page, pages); });
}

void ModelOfType1(benchmark::State& state) {
  Model model;
  Time(
      state, static_cast<uint64_t>(state.range(0)), state.range(1) == 0,
      [&](uint64_t page, uint64_t pages) { model.MapWhole(page, pages); },
      [&](uint64_t page, uint64_t pages) { model.UnmapWhole(page, pages); });
}

void Call(benchmark::State& state, uint32_t type) {
  World world(type);
  Time(
      state, static_cast<uint64_t>(state.range(0)), state.range(1) == 0,
      [&](uint64_t page, uint64_t pages) { world.Map(page, pages); },
      [&](uint64_t page, uint64_t pages) { world.Unmap(page, pages); });
}

void MemoryOfWindows(benchmark::State& state) {
  const auto step = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    Model model;
    model.AddWindow();
    const size_t before = model.bytes();
    uint64_t mapped = 0;
    for (; mapped * step < kWindowPages; ++mapped) model.MapTces(mapped * step, 1);
    state.counters["bytes_by_page"] =
        static_cast<double>(model.bytes() - before) / static_cast<double>(mapped);
  }
}

void Arguments(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"pages", "unmap"});
  for (const int64_t pages : {int64_t{1}, static_cast<int64_t>(kRun)}) {
    for (const int64_t unmap : {0, 1}) benchmark->Args({pages, unmap});
  }
}

BENCHMARK(ModelOfWindows)->Apply(Arguments);
BENCHMARK(ModelOfType1)->Apply(Arguments);
BENCHMARK(MemoryOfWindows)->ArgName("one_in")->Arg(1)->Arg(64)->Arg(512)->Iterations(1);
BENCHMARK_CAPTURE(Call, spapr_v2, uint32_t{abi::kSpaprTceV2Iommu})->Apply(Arguments);
BENCHMARK_CAPTURE(Call, type1_v2, uint32_t{abi::kType1v2Iommu})->Apply(Arguments);

}  // namespace
}  // namespace ppc

int main(int argc, char** argv) {
  // As in a program that has none: otherwise each call would block them, with two system calls.
  ioas::SetMayHaveSignalHandlers(false);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
