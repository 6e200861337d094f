// What TCEs cost in the guest: MAP and UNMAP of SPAPR TCE version 2 beside those of type 1, in one
// process; and the two ways to replace a page on iommufd without a moment in which its neighbours
// cannot be reached, beside each other.
//
//   map_tces GROUP DEVICE GROUP DEVICE CDEV
//
// The first group is for a SPAPR TCE container, the second for one of type 1: the library that is
// preloaded answers both. CDEV is the number of another group's device node. Prints a line for each
// measurement, with medians in nanoseconds:
//
//   one|run LIVE TCE TYPE1 RATIO LOW HIGH   MAP and UNMAP of 1 page, or of 512 in one call, with
//                                           LIVE other pages mapped one by one
//   replace LIVE TCE                        MAP of one page over another
//   cut|rebuild PAGES TIME                  one page replaced among PAGES, by iommufd's calls: cut
//                                           out, or in a copy of all, to which the device is moved
//   ioas_... 1 TIME                         what the kernel needs for a page: COPY, a cut, MAP,
//   UNMAP kernel_memory 1 BYTES                   of the kernel's slabs, for 1 page mapped by
//   itself
#include <linux/vfio.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "compat/abi/iommufd.h"
#include "ioas/backend.h"
#include "ioas/kernel/cdev.h"
#include "ioas/kernel/iommufd.h"
#include "tests/vm/benchmarks/spaces.h"

namespace {

using tests::Die;
using tests::LegacySpace;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kRun = 512;
constexpr uint64_t kMemory = uint64_t{64} << 20;
constexpr uint64_t kLivePages = kMemory / kPage;
// In the 32-bit window. Live pages have a page free between them.
constexpr uint64_t kIova = uint64_t{1} << 30;
constexpr uint64_t kLiveIova = kIova + (uint64_t{512} << 20);

constexpr int kBatch = 100;
constexpr int kRounds = 200;

// Nanoseconds of one call, of `count`.
template <typename Call>
double Time(int count, Call call) {
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) call(i);
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / count;
}

template <typename Sample>
double Median(int rounds, Sample sample) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) times.push_back(sample());
  return tests::Quantile(times, 0.5);
}

void CompareMaps(const char* name, uint64_t pages, uint64_t live, LegacySpace& tces,
                 LegacySpace& type1, uint64_t memory) {
  const int batch = pages == 1 ? kBatch : 4;
  const auto sample = [&](LegacySpace& space) {
    return Time(batch, [&](int) {
      space.Map(kIova, memory, pages * kPage);
      space.Unmap(kIova, pages * kPage);
    });
  };
  const tests::Comparison result = tests::Compare(
      kRounds, [&] { return sample(tces); }, [&] { return sample(type1); });
  std::printf("%s %" PRIu64 " %.0f %.0f %.3f %.3f %.3f\n", name, live, result.first, result.second,
              result.ratio, result.low, result.high);
  std::fflush(stdout);
}

void TimeReplacing(uint64_t live, LegacySpace& tces, uint64_t memory) {
  tces.Map(kIova, memory, kPage);
  const double replaced = Median(kRounds, [&] {
    return Time(kBatch, [&](int i) {
      tces.Map(kIova, memory + static_cast<uint64_t>(i % 2) * kPage, kPage);
    });
  });
  tces.Unmap(kIova, kPage);
  std::printf("replace %" PRIu64 " %.0f\n", live, replaced);
  std::fflush(stdout);
}

// The kernel's slabs, in bytes.
int64_t SlabBytes() {
  std::FILE* const file = std::fopen("/proc/meminfo", "re");
  if (file == nullptr) Die("/proc/meminfo");
  int64_t kilobytes = 0;
  char line[256];
  while (std::fgets(line, sizeof(line), file) != nullptr &&
         std::sscanf(line, "Slab: %" SCNd64, &kilobytes) != 1) {
  }
  std::fclose(file);
  return kilobytes * 1024;
}

void MapLive(LegacySpace& space, uint64_t memory) {
  for (uint64_t i = 0; i < kLivePages; ++i) {
    space.Map(kLiveIova + i * 2 * kPage, memory + i * kPage, kPage);
  }
}

// An address space whose pages are copies out of a registry, as the library's windows.
class CopiedPages {
 public:
  CopiedPages(uint32_t cdev, uint64_t memory) {
    auto node = ioas::kernel::Iommufd::Open(calls_);
    auto device_node = ioas::kernel::Cdev::Open(calls_, cdev);
    if (!node.ok() || !device_node.ok()) Die("the nodes");
    iommufd_ = ioas::kernel::Iommufd(calls_, node->Release());
    device_ = ioas::kernel::Cdev(calls_, device_node->Release());
    const auto bound = device_.Bind(iommufd_.fd());
    if (!bound.ok()) Die("bind");
    registry_ = NewIoas();
    ioas_ = NewIoas();
    if (!device_.Attach(ioas_).ok() || !iommufd_.SetCompatIoas(ioas_).ok()) Die("attach");
    if (!iommufd_.AllocHwpt({.device = *bound, .parent = registry_}).ok()) Die("a page table");
    const auto place = iommufd_.MapAnywhere(registry_, memory, kMemory, kReadWrite);
    if (!place.ok()) Die("the registry");
    place_ = *place;
  }

  // Maps `pages` pages from kIova on, one by one; nothing is mapped before.
  void MapPages(uint64_t pages) {
    for (uint64_t page = 0; page < pages; ++page) CopyPage(ioas_, page, page);
  }
  void UnmapAll(uint64_t pages) {
    if (!iommufd_.Unmap({ioas_, kIova}, pages * kPage).ok()) Die("unmap");
  }

  // Prints what single calls take, each over `kBatch` pages.
  void TimeCalls(uint64_t memory) {
    std::vector<double> times[4];
    const auto sample = [&](std::vector<double>& of, auto call) {
      of.push_back(Time(kBatch, [&](int i) { call(static_cast<uint64_t>(i)); }));
    };
    const auto place = [&](uint64_t page) {
      return ioas::kernel::IoasAddress{ioas_, kIova + page * kPage};
    };
    const auto unmap = [&](uint64_t page) {
      if (!iommufd_.Unmap(place(page), kPage).ok()) Die("unmap");
    };
    const auto map = [&](uint64_t page) {
      if (!iommufd_.Map(place(page), memory + page * kPage, kPage, kReadWrite).ok()) Die("map");
    };
    for (int i = 0; i < kRounds; ++i) {
      sample(times[0], [&](uint64_t page) { CopyPage(ioas_, page, page); });
      sample(times[1], [&](uint64_t page) { CutOut(page); });
      sample(times[2], map);
      sample(times[3], unmap);
    }
    const char* const names[] = {"copy", "cut", "map", "unmap"};
    for (int i = 0; i < 4; ++i) {
      std::printf("ioas_%s 1 %.0f\n", names[i], tests::Quantile(times[i], 0.5));
    }
  }

  // Makes a page lead to page `to` of the memory.
  void Cut(uint64_t page, uint64_t to) {
    CutOut(page);
    CopyPage(ioas_, page, to);
  }
  void Rebuild(uint64_t pages, uint64_t page, uint64_t to) {
    const uint32_t ioas = NewIoas();
    const auto copy = [&](uint64_t first, uint64_t count) {
      const uint64_t iova = kIova + first * kPage;
      if (count == 0) return;
      if (!iommufd_.Copy({ioas, iova}, {ioas_, iova}, count * kPage, kReadWrite).ok()) Die("copy");
    };
    copy(0, page);
    CopyPage(ioas, page, to);
    copy(page + 1, pages - page - 1);
    if (!device_.Attach(ioas).ok() || !iommufd_.SetCompatIoas(ioas).ok()) Die("attach");
    if (!iommufd_.Destroy(std::exchange(ioas_, ioas)).ok()) Die("destroy");
  }

 private:
  static constexpr uint32_t kReadWrite = ioas::kAccessRead | ioas::kAccessWrite;

  uint32_t NewIoas() const {
    const auto ioas = iommufd_.AllocIoas();
    if (!ioas.ok() || !iommufd_.SetOption(compat::abi::iommufd::kOptionHugePages, *ioas, 0).ok()) {
      Die("an IOAS");
    }
    return *ioas;
  }
  void CutOut(uint64_t page) const {
    if (!iommufd_.CutAndUnmap(kIova + page * kPage, kPage).ok()) Die("cut");
  }
  void CopyPage(uint32_t ioas, uint64_t page, uint64_t from) const {
    if (!iommufd_
             .Copy({ioas, kIova + page * kPage}, {registry_, place_ + from * kPage}, kPage,
                   kReadWrite)
             .ok()) {
      Die("copy a page");
    }
  }

  ioas::kernel::SystemCalls& calls_ = ioas::kernel::RealSystemCalls();
  ioas::kernel::Iommufd iommufd_{calls_, -1};
  ioas::kernel::Cdev device_{calls_, -1};
  uint32_t registry_ = 0;
  uint32_t ioas_ = 0;
  uint64_t place_ = 0;
};

void CompareWays(CopiedPages& space, uint64_t pages) {
  space.MapPages(pages);
  const uint64_t page = pages / 2;
  const int batch = pages <= kRun ? 10 : 1;
  const auto to = [](int i) { return static_cast<uint64_t>(i % 2); };
  const tests::Comparison result = tests::Compare(
      pages <= kRun ? kRounds : 20,
      [&] { return Time(batch, [&](int i) { space.Cut(page, to(i)); }); },
      [&] { return Time(batch, [&](int i) { space.Rebuild(pages, page, to(i)); }); });
  space.UnmapAll(pages);
  std::printf("cut %" PRIu64 " %.0f\nrebuild %" PRIu64 " %.0f\n", pages, result.first, pages,
              result.second);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: map_tces GROUP DEVICE GROUP DEVICE CDEV\n");
    return 2;
  }
  LegacySpace tces(argv[1], argv[2], VFIO_SPAPR_TCE_v2_IOMMU);
  LegacySpace type1(argv[3], argv[4], VFIO_TYPE1v2_IOMMU);
  const uint64_t memory = tests::Populate(kMemory);
  tces.RegisterMemory(memory, kMemory);
  CompareMaps("one", 1, 0, tces, type1, memory);
  CompareMaps("run", kRun, 0, tces, type1, memory);
  TimeReplacing(0, tces, memory);
  const int64_t before = SlabBytes();
  MapLive(tces, memory);
  std::printf("kernel_memory 1 %" PRId64 "\n",
              (SlabBytes() - before) / static_cast<int64_t>(kLivePages));
  MapLive(type1, memory);
  CompareMaps("one", 1, kLivePages, tces, type1, memory);
  CompareMaps("run", kRun, kLivePages, tces, type1, memory);
  TimeReplacing(kLivePages, tces, memory);
  CopiedPages copied(static_cast<uint32_t>(std::strtoul(argv[5], nullptr, 10)), memory);
  copied.TimeCalls(memory);
  for (const uint64_t pages : {uint64_t{1}, kRun, kLivePages}) CompareWays(copied, pages);
  return 0;
}
