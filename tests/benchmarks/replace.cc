// How long it takes to give a device another page table while its DMA goes on: iommufd's ATTACH on
// the software host, between address spaces of many mappings. A benchmark is a program under the
// library itself. A command of the device's that fails ends it.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/support/iommufd_client.h"
#include "tests/support/nvme_driver.h"
#include "tests/support/shimmed.h"

namespace {

using tests::NvmeDriver;
using Clock = std::chrono::steady_clock;

using tests::kPage;
// The driver's queues, and data behind them.
constexpr size_t kBytes = (NvmeDriver::kQueuePages + 1) * kPage;
constexpr uint64_t kIova = 0x100000;
constexpr uint64_t kDataIova = kIova + NvmeDriver::kQueuePages * kPage;
constexpr uint64_t kManyIova = uint64_t{1} << 32;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::perror(what);
  std::exit(1);
}

std::byte* NewMemory() {
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Require(memory != MAP_FAILED, "memory");
  return static_cast<std::byte*>(memory);
}

// A device that works in one address space, and another one with the same mappings.
class World {
 public:
  explicit World(uint64_t mappings)
      : iommufd_(open("/dev/iommu", O_RDWR | O_CLOEXEC)),
        device_(open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC)),
        memory_(NewMemory()),
        driver_(memory_, kIova) {
    Require(iommufd_ >= 0 && device_ >= 0, "open");
    const uint32_t first = tests::AttachToNewIoas(iommufd_, device_);
    Require(first != 0, "attach");
    const uint32_t device_object = 1;
    for (uint32_t& table : tables_) {
      const uint32_t ioas = &table == tables_ ? first : tests::NewIoas(iommufd_);
      Require(ioas != 0, "IOAS_ALLOC");
      Fill(ioas, mappings);
      table = tests::NewPageTable(iommufd_, device_object, ioas);
      Require(table != 0, "HWPT_ALLOC");
    }
    Require(tests::Attach(device_, tables_[0]), "attach");
    Require(driver_.Start(device_), "starting the controller");
    *Data() = 1;
    Require(driver_.WriteDisk(0, kDataIova) == 0, "writing the disk");
    thread_ = std::thread([this] { Drive(); });
  }
  ~World() {
    stops_ = true;
    thread_.join();
    // Whose registers would keep the device bound.
    driver_.Close();
    munmap(memory_, kBytes);
    close(device_);
    close(iommufd_);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Nanoseconds that the device takes to change.
  double Replace() {
    next_ ^= 1;
    const auto start = Clock::now();
    Require(tests::Attach(device_, tables_[next_]), "replace");
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }
  uint64_t commands() const { return commands_; }
  uint64_t failures() const { return failures_; }

 private:
  void Fill(uint32_t ioas, uint64_t mappings) {
    Require(tests::MapMemory(iommufd_, ioas, memory_, kIova, kBytes), "map");
    for (uint64_t i = 1; i < mappings; ++i) {
      Require(tests::MapMemory(iommufd_, ioas, memory_, kManyIova + i * 2 * kPage, kPage), "map");
    }
  }
  void Drive() {
    while (!stops_) {
      *Data() = 0;
      if (driver_.ReadDisk(0, kDataIova) != 0 || *Data() != 1) ++failures_;
      ++commands_;
    }
  }
  volatile char* Data() const {
    return reinterpret_cast<volatile char*>(memory_ + NvmeDriver::kQueuePages * kPage);
  }

  int iommufd_;
  int device_;
  std::byte* memory_;
  NvmeDriver driver_;
  uint32_t tables_[2] = {};
  int next_ = 0;
  std::thread thread_;
  std::atomic<bool> stops_{false};
  std::atomic<uint64_t> commands_{0};
  std::atomic<uint64_t> failures_{0};
};

void ReplaceUnderDma(benchmark::State& state) {
  World world(static_cast<uint64_t>(state.range(0)));
  std::vector<double> times;
  const uint64_t before = world.commands();
  for (auto _ : state) times.push_back(world.Replace());
  const uint64_t commands = world.commands() - before;
  std::sort(times.begin(), times.end());
  state.counters["median_us"] = times[times.size() / 2] / 1000;
  state.counters["longest_us"] = times.back() / 1000;
  state.counters["commands"] = static_cast<double>(commands);
  state.counters["failures"] = static_cast<double>(world.failures());
  if (world.failures() != 0) state.SkipWithError("a command failed");
}
BENCHMARK(ReplaceUnderDma)
    ->Arg(1)
    ->Arg(100'000)
    ->Iterations(1'000'000)
    ->Unit(benchmark::kMicrosecond);

}  // namespace

int main(int argc, char** argv) {
  return tests::RunShimmed(argv, [&] {
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
  });
}
