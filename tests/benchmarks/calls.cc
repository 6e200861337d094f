// What calls cost under the library. A benchmark is a program under the library itself; what a call
// costs without it is measured beside that, on libc's own function.
#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <linux/vfio.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/shim.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using Clock = std::chrono::steady_clock;
using Ioctl = int(int, unsigned long, ...);

// Nanoseconds that one of `count` calls of `body` takes.
template <typename Body>
double Nanoseconds(int count, Body body) {
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) body();
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / count;
}

double Median(std::vector<double>& samples) {
  const auto middle = samples.begin() + static_cast<ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

// Alternates between two things and shows the medians, their difference and their ratio.
class Comparison {
 public:
  template <typename First, typename Second>
  void Sample(int count, First first, Second second) {
    first_.push_back(Nanoseconds(count, first));
    second_.push_back(Nanoseconds(count, second));
  }
  void Show(benchmark::State& state, const char* first_name, const char* second_name) {
    const double first = Median(first_);
    const double second = Median(second_);
    state.counters[first_name] = first;
    state.counters[second_name] = second;
    state.counters["difference_ns"] = first - second;
    state.counters["ratio"] = first / second;
  }

 private:
  std::vector<double> first_;
  std::vector<double> second_;
};

// libc's own ioctl, behind the library's.
Ioctl* LibcIoctl() {
  void* const libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
  return reinterpret_cast<Ioctl*>(dlsym(libc, "ioctl"));
}

// The ioctl that programs call: the library's.
Ioctl* ProgramsIoctl() { return reinterpret_cast<Ioctl*>(dlsym(RTLD_DEFAULT, "ioctl")); }

struct Pipe {
  Pipe() {
    int ends[2] = {-1, -1};
    if (pipe(ends) != 0) std::abort();
    reader = tests::Descriptor(ends[0]);
    writer = tests::Descriptor(ends[1]);
  }
  tests::Descriptor reader;
  tests::Descriptor writer;
};

void ForeignIoctl(benchmark::State& state) {
  const Pipe pipe;
  Ioctl* const with = ProgramsIoctl();
  Ioctl* const without = LibcIoctl();
  if (with == without) state.SkipWithError("the library is not preloaded");
  int waiting = 0;
  Comparison comparison;
  for (auto _ : state) {
    comparison.Sample(
        1000, [&] { with(pipe.reader.get(), FIONREAD, &waiting); },
        [&] { without(pipe.reader.get(), FIONREAD, &waiting); });
  }
  comparison.Show(state, "with_ns", "without_ns");
}
BENCHMARK(ForeignIoctl)->Iterations(3000);

// MAP_DMA and UNMAP_DMA of 4 KiB, one of each a sample, with state.range(0) mappings there already.
void MapAndUnmap(benchmark::State& state) {
  const tests::Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  const int container = client.container.get();
  const tests::Memory memory(4096);
  for (int64_t i = 0; i < state.range(0); ++i) {
    tests::MapDma(container, memory.data(), static_cast<uint64_t>(i + 1) * 8192, 4096);
  }
  const Pipe pipe;
  Ioctl* const bare = LibcIoctl();
  int waiting = 0;
  Comparison comparison;
  for (auto _ : state) {
    comparison.Sample(
        100,
        [&] {
          tests::MapDma(container, memory.data(), 0, 4096);
          tests::UnmapDma(container, 0, 4096);
        },
        [&] { bare(pipe.reader.get(), FIONREAD, &waiting); });
  }
  comparison.Show(state, "map_and_unmap_ns", "bare_ioctl_ns");
}
BENCHMARK(MapAndUnmap)->Iterations(1000)->Arg(0)->Arg(1000)->Arg(60000);

// Starts a program with `environment` and waits for its end.
void RunTrue(const std::vector<char*>& environment) {
  char name[] = "/bin/true";
  char* arguments[] = {name, nullptr};
  pid_t child = -1;
  if (posix_spawn(&child, name, nullptr, nullptr, arguments, environment.data()) != 0) std::abort();
  int status = 0;
  waitpid(child, &status, 0);
}

void StartUp(benchmark::State& state) {
  std::string preload = "LD_PRELOAD=" + tests::PreloadLibrary();
  std::string devices = std::string("VFIO_COMPAT_DEVICES=") + std::getenv("VFIO_COMPAT_DEVICES");
  const std::vector<char*> without = {nullptr};
  const std::vector<char*> with = {preload.data(), devices.data(), nullptr};
  Comparison comparison;
  for (auto _ : state) {
    comparison.Sample(
        1, [&] { RunTrue(with); }, [&] { RunTrue(without); });
  }
  comparison.Show(state, "with_ns", "without_ns");
}
BENCHMARK(StartUp)->Iterations(500);

}  // namespace

int main(int argc, char** argv) {
  return tests::RunShimmed(argv, [&] {
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
  });
}
