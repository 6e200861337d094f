// What a million pages cost in the guest: mapped again, and copied from an address space that has
// them, by iommufd's calls as the kernel backend makes them.
//
//   copies CDEV CDEV
//
// The devices, by their nodes' numbers, have an address space each on one /dev/iommu. Memory is
// mapped 64 times over, so that a million pages need no more than 64 MiB. Prints a line for each
// way to map them (in calls for 64 MiB, or page by page) and kind of memory: seconds for MAP,
// seconds for COPY, the median of the rounds' ratios and those that half of them lie between.
#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "ioas/backend.h"
#include "ioas/kernel/cdev.h"
#include "ioas/kernel/iommufd.h"
#include "tests/vm/benchmarks/spaces.h"

namespace {

using ioas::kernel::Cdev;
using ioas::kernel::Iommufd;
using tests::Die;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMemory = uint64_t{64} << 20;
constexpr uint64_t kTimes = 64;
constexpr uint64_t kIova = uint64_t{8} << 30;
constexpr uint32_t kAccess = ioas::kAccessRead | ioas::kAccessWrite;
constexpr int kRounds = 3;

class Spaces {
 public:
  Spaces(uint32_t first, uint32_t second)
      : calls_(ioas::kernel::RealSystemCalls()), iommufd_(calls_, OpenIommufd()) {
    for (const uint32_t cdev : {first, second}) {
      auto node = Cdev::Open(calls_, cdev);
      if (!node.ok()) Die("the device's node");
      const Cdev device(calls_, node->Release());
      const auto ioas = iommufd_.AllocIoas();
      if (!ioas.ok() || !device.Bind(iommufd_.fd()).ok() || !device.Attach(*ioas).ok()) {
        Die("bind and attach");
      }
      ioas_[cdev == first ? 0 : 1] = *ioas;
    }
  }

  // Maps all pages in `space`, 0 or 1, in pieces of `piece` bytes.
  void Map(int space, uint64_t memory, uint64_t piece) const {
    for (uint64_t i = 0; i < kTimes; ++i) {
      for (uint64_t at = 0; at < kMemory; at += piece) {
        const uint64_t iova = kIova + i * kMemory + at;
        if (!iommufd_.Map({ioas_[space], iova}, memory + at, piece, kAccess).ok()) Die("IOAS_MAP");
      }
    }
  }
  // Copies all of them to the second one, as many times 64 MiB.
  void Copy() const {
    for (uint64_t i = 0; i < kTimes; ++i) {
      const uint64_t iova = kIova + i * kMemory;
      if (!iommufd_.Copy({ioas_[1], iova}, {ioas_[0], iova}, kMemory, kAccess).ok()) {
        Die("IOAS_COPY");
      }
    }
  }
  void Clear(int space) const {
    if (!iommufd_.Unmap({ioas_[space], 0}, UINT64_MAX).ok()) Die("IOAS_UNMAP");
  }

 private:
  int OpenIommufd() const {
    auto node = Iommufd::Open(calls_);
    if (!node.ok()) Die("/dev/iommu");
    return node->Release();
  }

  ioas::kernel::SystemCalls& calls_;
  Iommufd iommufd_;
  uint32_t ioas_[2] = {};
};

template <typename Call>
double Seconds(Call call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void Measure(const char* name, const Spaces& spaces, uint64_t memory, uint64_t piece) {
  spaces.Map(0, memory, piece);
  const tests::Comparison result = tests::Compare(
      kRounds,
      [&] {
        const double time = Seconds([&] { spaces.Map(1, memory, piece); });
        spaces.Clear(1);
        return time;
      },
      [&] {
        const double time = Seconds([&] { spaces.Copy(); });
        spaces.Clear(1);
        return time;
      });
  spaces.Clear(0);
  std::printf("%s %.3f %.3f %.2f %.2f %.2f\n", name, result.first, result.second, result.ratio,
              result.low, result.high);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: copies CDEV CDEV\n");
    return 2;
  }
  const auto number = [&](int i) {
    return static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10));
  };
  const Spaces spaces(number(1), number(2));
  const uint64_t huge = tests::Populate(kMemory);
  void* const small =
      mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (small == MAP_FAILED || madvise(small, kMemory, MADV_NOHUGEPAGE) != 0) Die("memory");
  if (madvise(small, kMemory, MADV_POPULATE_WRITE) != 0) Die("populate");
  const auto small_pages = reinterpret_cast<uint64_t>(small);
  Measure("at_once,huge_pages", spaces, huge, kMemory);
  Measure("at_once,small_pages", spaces, small_pages, kMemory);
  Measure("page_by_page,small_pages", spaces, small_pages, kPage);
  return 0;
}
