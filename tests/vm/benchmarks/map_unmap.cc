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
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "compat/abi/iommufd.h"
#include "ioas/kernel/cdev.h"
#include "ioas/kernel/iommufd.h"

namespace {

namespace iommu = compat::abi::iommufd;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHugePage = uint64_t{2} << 20;
constexpr uint64_t kLargest = uint64_t{64} << 20;
constexpr uint64_t kLiveMappings = kLargest / kPage;
// Where the live mappings lie, a page free between them, and where those that are measured do.
constexpr uint64_t kLiveIova = uint64_t{4} << 30;
constexpr uint64_t kIova = uint64_t{1} << 30;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// A way to map and unmap.
class Space {
 public:
  virtual ~Space() = default;
  virtual void Map(uint64_t iova, uint64_t address, uint64_t size) = 0;
  virtual void Unmap(uint64_t iova, uint64_t size) = 0;
};

// A container with one group, as programs have it.
class LegacySpace final : public Space {
 public:
  LegacySpace(const char* group, const char* device)
      : container_(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC)),
        group_(open((std::string("/dev/vfio/") + group).c_str(), O_RDWR | O_CLOEXEC)) {
    if (container_ < 0 || group_ < 0) Die("the container or the group cannot be opened");
    if (ioctl(group_, VFIO_GROUP_SET_CONTAINER, &container_) != 0) Die("SET_CONTAINER");
    if (ioctl(container_, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0) Die("SET_IOMMU");
    // The kernel's compatibility code attaches the device here only; until then nothing is pinned.
    device_ = ioctl(group_, VFIO_GROUP_GET_DEVICE_FD, device);
    if (device_ < 0) Die("GET_DEVICE_FD");
  }

  void Map(uint64_t iova, uint64_t address, uint64_t size) override {
    vfio_iommu_type1_dma_map map = {};
    map.argsz = sizeof(map);
    map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
    map.vaddr = address;
    map.iova = iova;
    map.size = size;
    if (ioctl(container_, VFIO_IOMMU_MAP_DMA, &map) != 0) Die("MAP_DMA");
  }
  void Unmap(uint64_t iova, uint64_t size) override {
    vfio_iommu_type1_dma_unmap unmap = {};
    unmap.argsz = sizeof(unmap);
    unmap.iova = iova;
    unmap.size = size;
    if (ioctl(container_, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0 || unmap.size != size) {
      Die("UNMAP_DMA");
    }
  }

 private:
  int container_;
  int group_;
  int device_ = -1;
};

// An IOAS with one device.
class DirectSpace final : public Space {
 public:
  explicit DirectSpace(uint32_t cdev) {
    ioas::kernel::SystemCalls& calls = ioas::kernel::RealSystemCalls();
    auto node = ioas::kernel::Iommufd::Open(calls);
    if (!node.ok()) Die("/dev/iommu");
    auto device_node = ioas::kernel::Cdev::Open(calls, cdev);
    if (!device_node.ok()) Die("the device's node");
    fd_ = node->Release();
    const ioas::kernel::Iommufd iommufd(calls, fd_);
    const ioas::kernel::Cdev device(calls, device_node->Release());
    const auto ioas = iommufd.AllocIoas();
    if (!ioas.ok() || !device.Bind(fd_).ok() || !device.Attach(*ioas).ok()) Die("bind and attach");
    ioas_ = *ioas;
  }

  void Map(uint64_t iova, uint64_t address, uint64_t size) override {
    iommu::IoasMap map = {};
    map.size = sizeof(map);
    map.flags = iommu::kIoasMapFixedIova | iommu::kIoasMapReadable | iommu::kIoasMapWriteable;
    map.ioas_id = ioas_;
    map.user_va = address;
    map.length = size;
    map.iova = iova;
    if (syscall(SYS_ioctl, fd_, iommu::kIoasMap, &map) != 0) Die("IOAS_MAP");
  }
  void Unmap(uint64_t iova, uint64_t size) override {
    iommu::IoasUnmap unmap = {
        .size = sizeof(unmap), .ioas_id = ioas_, .iova = iova, .length = size};
    if (syscall(SYS_ioctl, fd_, iommu::kIoasUnmap, &unmap) != 0) Die("IOAS_UNMAP");
  }

 private:
  int fd_;
  uint32_t ioas_;
};

// Zeroed memory on a boundary of huge pages, all of it there.
uint64_t Populate() {
  void* const data = mmap(nullptr, kLargest + kHugePage, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) Die("memory");
  const uint64_t address = (reinterpret_cast<uint64_t>(data) + kHugePage - 1) & -kHugePage;
  std::fill_n(reinterpret_cast<volatile char*>(address), kLargest, 1);
  return address;
}

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

double Quantile(std::vector<double> samples, double part) {
  std::sort(samples.begin(), samples.end());
  return samples[static_cast<size_t>(part * static_cast<double>(samples.size() - 1))];
}

struct Size {
  uint64_t bytes;
  int count;   // calls of a batch
  int rounds;  // of two batches each
};
constexpr Size kSizes[] = {
    {kPage, 100, 200}, {16 * kPage, 50, 200}, {kHugePage, 4, 200}, {kLargest, 1, 60}};

void Measure(const Size& size, uint64_t live, Space& legacy, Space* direct, uint64_t memory) {
  std::vector<double> legacy_times;
  std::vector<double> direct_times;
  std::vector<double> ratios;
  const auto sample = [&](Space& space, std::vector<double>& times) {
    times.push_back(Batch(space, memory, size.bytes, size.count));
  };
  for (int i = -2; i < size.rounds; ++i) {
    // Either goes first as often as the other.
    if (direct != nullptr && i % 2 == 0) sample(*direct, direct_times);
    sample(legacy, legacy_times);
    if (direct != nullptr && i % 2 != 0) sample(*direct, direct_times);
    if (i < 0) {
      legacy_times.clear();
      direct_times.clear();
    } else if (direct != nullptr) {
      ratios.push_back(legacy_times.back() / direct_times.back());
    }
  }
  std::printf("%" PRIu64 " %" PRIu64 " %.0f", size.bytes, live, Quantile(legacy_times, 0.5));
  if (direct != nullptr) {
    std::printf(" %.0f %.3f %.3f %.3f", Quantile(direct_times, 0.5), Quantile(ratios, 0.5),
                Quantile(ratios, 0.25), Quantile(ratios, 0.75));
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
  LegacySpace legacy(argv[1], argv[2]);
  std::unique_ptr<Space> direct;
  if (argc == 4) {
    direct =
        std::make_unique<DirectSpace>(static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)));
  }
  const uint64_t memory = Populate();
  CheckThatMemoryIsPinned(legacy, memory);
  if (direct) CheckThatMemoryIsPinned(*direct, memory);
  for (const Size& size : kSizes) Measure(size, 0, legacy, direct.get(), memory);
  MapLive(legacy, memory);
  if (direct) MapLive(*direct, memory);
  for (const Size& size : kSizes) Measure(size, kLiveMappings, legacy, direct.get(), memory);
  return 0;
}
