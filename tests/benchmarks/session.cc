// What a session costs: MAP_DMA and UNMAP_DMA of 4 KiB in a program without a daemon, beside one
// with a daemon and a watcher of all events. Both are forked from here, and take turns.
#include <benchmark/benchmark.h>
#include <linux/vfio.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "compat/session/testing/fake_daemon.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using compat::session::Hello;
using compat::session::Kind;
using compat::session::Subscribe;
using compat::session::testing::FakeDaemon;
using compat::session::testing::FakeSession;
using Clock = std::chrono::steady_clock;

constexpr int kPairs = 2000;
constexpr int kTurns = 40;

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
  const tests::Memory memory(4096);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) == 1) {
    const auto start = Clock::now();
    for (int i = 0; i < kPairs; ++i) {
      tests::MapDma(container, memory.data(), 0, 4096);
      tests::UnmapDma(container, 0, 4096);
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

// Counts what the daemon of a program is told, as a watcher of everything.
class Watcher {
 public:
  explicit Watcher(FakeSession& session) : session_(session) {
    session_.Ask(Kind::kSubscribe, Subscribe{.kinds = ~0u, .reserved = 0});
    thread_ = std::thread([this] {
      while (true) {
        const auto batch = session_.Events(1);
        if (batch.empty()) return;
        events_ += batch.size();
      }
    });
  }
  ~Watcher() {
    shutdown(session_.descriptor(), SHUT_RDWR);
    thread_.join();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // All events, those under way included: a program sends what it gathers at most every 4 ms.
  uint64_t Settled() const {
    uint64_t seen = ~uint64_t{0};
    while (seen != events_) {
      seen = events_;
      std::this_thread::sleep_for(std::chrono::milliseconds(12));
    }
    return seen;
  }

 private:
  FakeSession& session_;
  std::thread thread_;
  std::atomic<uint64_t> events_{0};
};

// One iteration is two new programs that take turns: where a program's memory lies makes more of a
// difference than what is measured, and is another in each.
void MapAndUnmapWatched(benchmark::State& state) {
  std::vector<double> bare;
  std::vector<double> watched;
  double events = 0;
  for (auto _ : state) {
    FakeDaemon daemon;
    daemon.Start();
    const Program without(arguments, "");
    const Program with(arguments, daemon.path());
    Hello hello = {};
    FakeSession session = daemon.Greet(hello);
    if (!session.is_open()) return state.SkipWithError("no session");
    const Watcher watcher(session);
    std::vector<double> bare_turns;
    std::vector<double> watched_turns;
    for (int turn = 0; turn < kTurns; ++turn) {
      bare_turns.push_back(without.NanosecondsPerPair());
      watched_turns.push_back(with.NanosecondsPerPair());
      // What is still read then would slow the other program down.
      watcher.Settled();
    }
    bare.push_back(Median(bare_turns));
    watched.push_back(Median(watched_turns));
    events += static_cast<double>(watcher.Settled());
  }
  state.counters["without_ns"] = Mean(bare);
  state.counters["with_ns"] = Mean(watched);
  state.counters["ratio"] = Mean(watched) / Mean(bare);
  state.counters["events_per_pair"] =
      events / (static_cast<double>(state.iterations()) * kTurns * kPairs);
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
