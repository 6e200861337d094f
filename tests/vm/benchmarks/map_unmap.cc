// What MAP and UNMAP cost in the guest: with the legacy calls of an unmodified program, and with
// IOMMU_IOAS_MAP and IOMMU_IOAS_UNMAP called directly.
//
//   map_unmap GROUP DEVICE [CDEV]
//
// GROUP is the number of a group, whose container is used by libc's ioctl once its device, DEVICE,
// is open: what answers is the kernel, or the library that is preloaded. CDEV is the number of
// another group's device node: the same is done with it on a /dev/iommu of its own, by plain system
// calls, in batches that alternate with the others, so that both see the same machine. One line
// each for size and number of live mappings: size, live, legacy ns, and with CDEV direct ns, median
// of the batches' ratios and the two that half of the ratios lie between.
#include <linux/vfio.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "tests/vm/benchmarks/spaces.h"

namespace {

using tests::Die;
using tests::DirectSpace;
using tests::LegacySpace;
using tests::Space;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHugePage = uint64_t{2} << 20;
constexpr uint64_t kLargest = uint64_t{64} << 20;
constexpr uint64_t kLiveMappings = kLargest / kPage;
// Where the live mappings lie, a page free between them, and where those that are measured do.
constexpr uint64_t kLiveIova = uint64_t{4} << 30;
constexpr uint64_t kIova = uint64_t{1} << 30;

void MapLive(Space& space, uint64_t memory) {
  for (uint64_t i = 0; i < kLiveMappings; ++i) {
    space.Map(kLiveIova + i * 2 * kPage, memory + i * kPage, kPage);
  }
}

// Nanoseconds that one MAP and one UNMAP of `size` bytes take together, over a batch of them.
double Batch(Space& space, uint64_t memory, uint64_t size, int count) {
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) {
    space.Map(kIova, memory, size);
    space.Unmap(kIova, size);
  }
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / count;
}

// How many bytes of this process's memory are pinned (iommufd) or locked (type 1).
uint64_t AccountedBytes() {
  std::FILE* const status = std::fopen("/proc/self/status", "re");
  if (status == nullptr) Die("/proc/self/status");
  uint64_t total = 0;
  uint64_t kilobytes = 0;
  char line[256];
  while (std::fgets(line, sizeof(line), status) != nullptr) {
    if (std::sscanf(line, "VmPin: %" SCNu64, &kilobytes) == 1 ||
        std::sscanf(line, "VmLck: %" SCNu64, &kilobytes) == 1) {
      total += kilobytes * 1024;
    }
  }
  std::fclose(status);
  return total;
}

// Dies unless a mapping's memory is pinned, which is most of what it costs.
void CheckThatMemoryIsPinned(Space& space, uint64_t memory) {
  const uint64_t before = AccountedBytes();
  space.Map(kIova, memory, kLargest);
  const uint64_t after = AccountedBytes();
  space.Unmap(kIova, kLargest);
  if (after - before != kLargest) {
    std::fprintf(stderr, "a mapping pins %" PRIu64 " bytes of %" PRIu64 "\n", after - before,
                 kLargest);
    std::exit(1);
  }
}

struct Size {
  uint64_t bytes;
  int count;   // calls of a batch
  int rounds;  // of two batches each
};
constexpr Size kSizes[] = {
    {kPage, 100, 200}, {16 * kPage, 50, 200}, {kHugePage, 4, 200}, {kLargest, 1, 60}};

void Measure(const Size& size, uint64_t live, Space& legacy, Space* direct, uint64_t memory) {
  const auto sample = [&](Space& space) { return Batch(space, memory, size.bytes, size.count); };
  std::printf("%" PRIu64 " %" PRIu64, size.bytes, live);
  if (direct != nullptr) {
    const tests::Comparison result = tests::Compare(
        size.rounds, [&] { return sample(legacy); }, [&] { return sample(*direct); });
    std::printf(" %.0f %.0f %.3f %.3f %.3f", result.first, result.second, result.ratio, result.low,
                result.high);
  } else {
    std::vector<double> times;
    for (int i = 0; i < size.rounds; ++i) times.push_back(sample(legacy));
    std::printf(" %.0f", tests::Quantile(times, 0.5));
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: map_unmap GROUP DEVICE [CDEV]\n");
    return 2;
  }
  LegacySpace legacy(argv[1], argv[2], VFIO_TYPE1v2_IOMMU);
  std::unique_ptr<Space> direct;
  if (argc == 4) {
    direct =
        std::make_unique<DirectSpace>(static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)));
  }
  const uint64_t memory = tests::Populate(kLargest);
  CheckThatMemoryIsPinned(legacy, memory);
  if (direct) CheckThatMemoryIsPinned(*direct, memory);
  for (const Size& size : kSizes) Measure(size, 0, legacy, direct.get(), memory);
  MapLive(legacy, memory);
  if (direct) MapLive(*direct, memory);
  for (const Size& size : kSizes) Measure(size, kLiveMappings, legacy, direct.get(), memory);
  return 0;
}
