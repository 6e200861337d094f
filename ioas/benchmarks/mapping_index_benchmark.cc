// Compares MappingIndex with what QEMU keeps its IOVA mappings in: a GLib GTree of mappings on the
// heap, compared so that ranges that overlap are equal (util/iova-tree.c). Both hold the same 4 KiB
// mappings, at random pages of a 48-bit address space.
//
//   map+unmap         a mapping more is inserted and removed again
//   map+unmap-checked the same where the GTree, too, is asked for an overlap first, as QEMU does
//   translate         an address within a mapping is looked up
//
// Repetitions are interleaved, and the fastest of each contender counts, since noise only ever
// adds. At the end a line for each goal says what was reached.
#include <benchmark/benchmark.h>
#include <glib.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "ioas/base/arena.h"
#include "ioas/mapping_index.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kArenaBytes = size_t{4} << 30;

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "mapping_index_benchmark: %s\n", what);
  exit(1);
}

// The project's index, in an arena such as the library uses.
class OwnIndex {
 public:
  OwnIndex() : arena_(MakeArena()), index_(arena_, MakeState(arena_)) {}

  void Map(uint64_t first) {
    const Mapping mapping = {.first = first, .last = first + kPage - 1, .user_address = first};
    if (!index_.Insert(mapping).ok()) Fail("a mapping was refused");
  }
  void MapChecked(uint64_t first) { Map(first); }
  void Unmap(uint64_t first) { index_.Erase(first); }
  uint64_t Translate(uint64_t iova) const {
    const std::optional<Mapping> mapping = index_.FindContaining(iova);
    return mapping->user_address + (iova - mapping->first);
  }
  size_t bytes() const { return arena_.bytes_in_use(); }

 private:
  static Arena MakeArena() {
    const Result<Arena> arena = Arena::Map(memfd_create("arena", MFD_CLOEXEC), kArenaBytes);
    if (!arena.ok()) Fail(arena.error().reason);
    return *arena;
  }
  static MappingIndexState* MakeState(Arena arena) {
    const Result<ArenaRef<MappingIndexState>> state = arena.New<MappingIndexState>();
    if (!state.ok()) Fail(state.error().reason);
    return arena.Get(*state);
  }

  Arena arena_;
  MappingIndex index_;
};

// QEMU's way.
class GlibTree {
 public:
  GlibTree() : tree_(g_tree_new_full(Compare, nullptr, g_free, nullptr)) {}

  void Map(uint64_t first) {
    auto* range = g_new0(Range, 1);
    *range = {.iova = first, .translated = first, .size = kPage - 1, .permissions = 3};
    g_tree_insert(tree_, range, range);
  }
  void MapChecked(uint64_t first) {
    if (Find(first, kPage - 1) != nullptr) Fail("a mapping was refused");
    Map(first);
  }
  void Unmap(uint64_t first) {
    const Range range = {.iova = first, .translated = 0, .size = kPage - 1, .permissions = 0};
    g_tree_remove(tree_, &range);
  }
  uint64_t Translate(uint64_t iova) const {
    const Range* range = Find(iova, 0);
    return range->translated + (iova - range->iova);
  }
  // What the heap has given out; in this program the trees are what makes it grow.
  static size_t HeapBytes() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  }

 private:
  struct Range {
    uint64_t iova;
    uint64_t translated;
    uint64_t size;  // less 1
    int permissions;
  };
  static gint Compare(gconstpointer left, gconstpointer right, gpointer) {
    const auto* a = static_cast<const Range*>(left);
    const auto* b = static_cast<const Range*>(right);
    if (a->iova > b->iova + b->size) return 1;
    if (a->iova + a->size < b->iova) return -1;
    return 0;
  }
  const Range* Find(uint64_t iova, uint64_t size) const {
    const Range wanted = {.iova = iova, .translated = 0, .size = size, .permissions = 0};
    return static_cast<const Range*>(g_tree_lookup(tree_, &wanted));
  }

  GTree* tree_;
};

// Both contenders with the same mappings live.
struct World {
  explicit World(size_t live_count) {
    std::mt19937_64 random(live_count);
    std::unordered_set<uint64_t> pages;
    while (pages.size() < 2 * live_count) pages.insert((random() >> 28) * kPage);
    std::vector<uint64_t> shuffled(pages.begin(), pages.end());
    pages = {};
    std::sort(shuffled.begin(), shuffled.end());
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    live.assign(shuffled.begin(), shuffled.begin() + static_cast<ptrdiff_t>(live_count));
    spare.assign(shuffled.begin() + static_cast<ptrdiff_t>(live_count), shuffled.end());
    for (uint64_t page : live) own.Map(page);
    own_bytes = own.bytes();
    const size_t heap_before = GlibTree::HeapBytes();
    for (uint64_t page : live) glib.Map(page);
    glib_bytes = GlibTree::HeapBytes() - heap_before;
    std::shuffle(live.begin(), live.end(), random);
  }

  std::vector<uint64_t> live;
  std::vector<uint64_t> spare;
  OwnIndex own;
  GlibTree glib;
  size_t own_bytes;
  size_t glib_bytes;
};

World& WorldOf(size_t live_count) {
  static std::map<size_t, std::unique_ptr<World>> worlds;
  std::unique_ptr<World>& world = worlds[live_count];
  if (world == nullptr) world = std::make_unique<World>(live_count);
  return *world;
}

template <typename Contender>
void MapAndUnmap(benchmark::State& state, Contender& contender,
                 const std::vector<uint64_t>& pages) {
  size_t next = 0;
  for (auto _ : state) {
    contender.Map(pages[next]);
    contender.Unmap(pages[next]);
    if (++next == pages.size()) next = 0;
  }
}

template <typename Contender>
void MapCheckedAndUnmap(benchmark::State& state, Contender& contender,
                        const std::vector<uint64_t>& pages) {
  size_t next = 0;
  for (auto _ : state) {
    contender.MapChecked(pages[next]);
    contender.Unmap(pages[next]);
    if (++next == pages.size()) next = 0;
  }
}

template <typename Contender>
void Translate(benchmark::State& state, Contender& contender, const std::vector<uint64_t>& pages) {
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(contender.Translate(pages[next] + 0x123));
    if (++next == pages.size()) next = 0;
  }
}

// Prints as usual, and remembers the fastest repetition of each benchmark.
class FastestReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      const double time = run.GetAdjustedCPUTime();
      const auto [entry, added] = fastest_.emplace(run.run_name.function_name, time);
      if (!added) entry->second = std::min(entry->second, time);
    }
    ConsoleReporter::ReportRuns(runs);
  }
  // Nanoseconds, or 0 if the benchmark did not run.
  double Fastest(const std::string& name) const {
    const auto found = fastest_.find(name);
    return found == fastest_.end() ? 0 : found->second;
  }

 private:
  std::map<std::string, double> fastest_;
};

struct Goal {
  const char* task;
  size_t live_count;
  double times;  // as fast as the GTree; 0: none set
};
constexpr Goal kGoals[] = {
    {"map+unmap", 1000, 1.5},         {"map+unmap", 100000, 5},
    {"map+unmap", 1000000, 4},        {"map+unmap-checked", 1000, 0},
    {"map+unmap-checked", 100000, 0}, {"map+unmap-checked", 1000000, 0},
    {"translate", 1000, 2},           {"translate", 100000, 5},
    {"translate", 1000000, 6},
};
constexpr size_t kMostMappings = 1000000;
constexpr double kBytesGoal = 64;

std::string NameOf(const Goal& goal, const char* contender) {
  return std::string(goal.task) + "(" + std::to_string(goal.live_count) + "):" + contender;
}

template <typename Contender>
void Register(const Goal& goal, const char* name, Contender World::*contender) {
  const std::string task = goal.task;
  const size_t live_count = goal.live_count;
  benchmark::RegisterBenchmark(NameOf(goal, name).c_str(), [=](benchmark::State& state) {
    World& world = WorldOf(live_count);
    if (task == "map+unmap") {
      MapAndUnmap(state, world.*contender, world.spare);
    } else if (task == "map+unmap-checked") {
      MapCheckedAndUnmap(state, world.*contender, world.spare);
    } else {
      Translate(state, world.*contender, world.live);
    }
  });
}

void PrintGoals(const FastestReporter& reporter) {
  printf("\n");
  for (const Goal& goal : kGoals) {
    const double own = reporter.Fastest(NameOf(goal, "MappingIndex"));
    const double glib = reporter.Fastest(NameOf(goal, "GTree"));
    if (own == 0 || glib == 0) continue;
    printf("%s %zu: %.1f ns, GTree %.1f ns, %.1fx GTree", goal.task, goal.live_count, own, glib,
           glib / own);
    if (goal.times != 0) printf(" (goal %g)", goal.times);
    printf("\n");
  }
  const World& world = WorldOf(kMostMappings);
  printf("bytes a mapping %zu: %.1f (goal at most %g), GTree %.1f\n", kMostMappings,
         static_cast<double>(world.own_bytes) / kMostMappings, kBytesGoal,
         static_cast<double>(world.glib_bytes) / kMostMappings);
}

int Main(int argc, char** argv) {
  std::string defaults[] = {"--benchmark_repetitions=5", "--benchmark_min_time=0.2",
                            "--benchmark_enable_random_interleaving=true"};
  std::vector<char*> arguments = {argv[0]};
  for (std::string& argument : defaults) arguments.push_back(argument.data());
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  for (const Goal& goal : kGoals) {
    Register(goal, "MappingIndex", &World::own);
    Register(goal, "GTree", &World::glib);
  }
  FastestReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  PrintGoals(reporter);
  return 0;
}

}  // namespace
}  // namespace ioas

int main(int argc, char** argv) { return ioas::Main(argc, argv); }
