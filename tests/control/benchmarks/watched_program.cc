// What being watched costs: MAP_DMA and UNMAP_DMA of 4 KiB in a program without a daemon, beside
// one with a daemon and a client that watches all events. The programs take turns.
#include <benchmark/benchmark.h>
#include <linux/vfio.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "tests/control/benchmarks/daemon_process.h"
#include "tests/control/benchmarks/watcher.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::control::DaemonProcess;
using tests::control::Watcher;
using Clock = std::chrono::steady_clock;

constexpr int kPairs = 2000;
constexpr int kTurns = 40;
constexpr uint64_t kBytes = 4096;

// --- The program: for each byte that it reads, maps and unmaps, and writes how long a pair took
// ---

// This thread alone, of those that the process has.
void StayOn(int processor) {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  CPU_SET(processor, &processors);
  sched_setaffinity(0, sizeof(processors), &processors);
}

int BeProgram() {
  StayOn(0);
  const tests::Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  const int container = client.container.get();
  const tests::Memory memory(kBytes);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) == 1) {
    const auto start = Clock::now();
    for (int i = 0; i < kPairs; ++i) {
      tests::MapDma(container, memory.data(), 0, kBytes);
      tests::UnmapDma(container, 0, kBytes);
    }
    const double took =
        std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kPairs;
    if (write(STDOUT_FILENO, &took, sizeof(took)) != sizeof(took)) return 1;
  }
  return 0;
}

class Program {
 public:
  // `control`: the daemon's socket, or nothing.
  Program(char** argv, const std::string& control) {
    int in[2];
    int out[2];
    if (pipe(in) != 0 || pipe(out) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      for (const int fd : {in[0], in[1], out[0], out[1]}) close(fd);
      setenv("VFIO_COMPAT_CONTROL", control.c_str(), 1);
      tests::RunShimmed(argv, BeProgram);
      _exit(1);
    }
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    output_ = out[0];
  }
  ~Program() {
    close(input_);
    close(output_);
    waitpid(pid_, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  double NanosecondsPerPair() const {
    double took = 0;
    if (write(input_, "", 1) != 1 || read(output_, &took, sizeof(took)) != sizeof(took)) {
      std::abort();
    }
    return took;
  }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
};

double Median(std::vector<double>& samples) {
  const auto middle = samples.begin() + static_cast<ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

double Mean(const std::vector<double>& samples) {
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

char** arguments = nullptr;

// Two new programs: where a program's memory lies makes more of a difference than what is measured,
// and is another in each.
class Pair {
 public:
  // Waits until the client is told of all that the watched one does. Returns whether it is.
  bool Begin() {
    for (int attempt = 0; attempt < 100; ++attempt) {
      if (WatchedTurn(std::chrono::milliseconds(200))) return true;
    }
    return false;
  }
  // Returns whether the client was told of everything.
  bool Run() {
    watched_turns_.clear();
    for (int turn = 0; turn < kTurns; ++turn) {
      bare_turns_.push_back(bare_.NanosecondsPerPair());
      // What is still on its way afterwards would slow the other program down.
      if (!WatchedTurn(std::chrono::seconds(10))) return false;
    }
    return true;
  }
  double bare() { return Median(bare_turns_); }
  double watched() { return Median(watched_turns_); }

 private:
  bool WatchedTurn(std::chrono::milliseconds patience) {
    const uint64_t before = watcher_.mapped() + watcher_.unmapped();
    watched_turns_.push_back(watched_.NanosecondsPerPair());
    return watcher_.WaitFor(before + uint64_t{2} * kPairs, patience);
  }

  DaemonProcess daemon_;
  Program bare_{arguments, ""};
  Program watched_{arguments, daemon_.session_socket()};
  Watcher watcher_{daemon_.target()};
  std::vector<double> bare_turns_;
  std::vector<double> watched_turns_;
};

void MapAndUnmapWatched(benchmark::State& state) {
  std::vector<double> bare;
  std::vector<double> watched;
  for (auto _ : state) {
    Pair pair;
    if (!pair.Begin()) return state.SkipWithError("the client is told of nothing");
    if (!pair.Run()) return state.SkipWithError("the client was not told of everything");
    bare.push_back(pair.bare());
    watched.push_back(pair.watched());
  }
  state.counters["without_ns"] = Mean(bare);
  state.counters["with_ns"] = Mean(watched);
  state.counters["ratio"] = Mean(watched) / Mean(bare);
}
BENCHMARK(MapAndUnmapWatched)->Iterations(60)->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  arguments = argv;
  // A program that was started from here.
  if (std::getenv("LD_PRELOAD") != nullptr) return tests::RunShimmed(argv, BeProgram);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
