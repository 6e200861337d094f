// What a session costs: MAP_DMA and UNMAP_DMA of 4 KiB in a program without a daemon, beside one
// with a daemon and a watcher of all events. Both are forked from here, and take turns.
#include <benchmark/benchmark.h>
#include <linux/vfio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
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

// --- The program: for each byte that it reads, maps and unmaps, and writes how long a pair took
// ---

int BeProgram() {
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

char** arguments = nullptr;

void MapAndUnmapWatched(benchmark::State& state) {
  FakeDaemon daemon;
  daemon.Start();
  const Program without(arguments, "");
  const Program with(arguments, daemon.path());
  Hello hello = {};
  FakeSession session = daemon.Greet(hello);
  if (!session.is_open()) return state.SkipWithError("no session");
  session.Ask(Kind::kSubscribe, Subscribe{.kinds = ~0u, .reserved = 0});
  std::atomic<uint64_t> events{0};
  std::thread watcher([&] {
    while (true) {
      const auto batch = session.Events(1);
      if (batch.empty()) return;
      events += batch.size();
    }
  });
  std::vector<double> bare;
  std::vector<double> watched;
  for (auto _ : state) {
    bare.push_back(without.NanosecondsPerPair());
    watched.push_back(with.NanosecondsPerPair());
  }
  state.counters["without_ns"] = Median(bare);
  state.counters["with_ns"] = Median(watched);
  state.counters["ratio"] = Median(watched) / Median(bare);
  const auto pairs = static_cast<double>(state.iterations()) * kPairs;
  // What arrived is read after a moment without any.
  for (uint64_t seen = ~uint64_t{0}; seen != events;) {
    seen = events;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  state.counters["events_per_pair"] = static_cast<double>(events) / pairs;
  shutdown(session.descriptor(), SHUT_RDWR);
  watcher.join();
}
BENCHMARK(MapAndUnmapWatched)->Iterations(300);

}  // namespace

int main(int argc, char** argv) {
  arguments = argv;
  // A program that was started from here.
  if (std::getenv("LD_PRELOAD") != nullptr) return tests::RunShimmed(argv, BeProgram);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
