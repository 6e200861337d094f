#include "tests/vm/benchmarks/spaces.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "compat/abi/iommufd.h"
#include "ioas/kernel/cdev.h"
#include "ioas/kernel/iommufd.h"

namespace tests {

namespace iommu = compat::abi::iommufd;

void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

LegacySpace::LegacySpace(const char* group, const char* device, unsigned long type)
    : container_(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC)),
      group_(open((std::string("/dev/vfio/") + group).c_str(), O_RDWR | O_CLOEXEC)) {
  if (container_ < 0 || group_ < 0) Die("the container or the group cannot be opened");
  if (ioctl(group_, VFIO_GROUP_SET_CONTAINER, &container_) != 0) Die("SET_CONTAINER");
  if (ioctl(container_, VFIO_SET_IOMMU, type) != 0) Die("SET_IOMMU");
  // The kernel's compatibility code attaches the device here only; until then nothing is pinned.
  device_ = ioctl(group_, VFIO_GROUP_GET_DEVICE_FD, device);
  if (device_ < 0) Die("GET_DEVICE_FD");
}

void LegacySpace::Map(uint64_t iova, uint64_t address, uint64_t size) {
  vfio_iommu_type1_dma_map map = {};
  map.argsz = sizeof(map);
  map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
  map.vaddr = address;
  map.iova = iova;
  map.size = size;
  if (ioctl(container_, VFIO_IOMMU_MAP_DMA, &map) != 0) Die("MAP_DMA");
}

void LegacySpace::Unmap(uint64_t iova, uint64_t size) {
  vfio_iommu_type1_dma_unmap unmap = {};
  unmap.argsz = sizeof(unmap);
  unmap.iova = iova;
  unmap.size = size;
  if (ioctl(container_, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0 || unmap.size != size) {
    Die("UNMAP_DMA");
  }
}

void LegacySpace::RegisterMemory(uint64_t address, uint64_t size) const {
  vfio_iommu_spapr_register_memory region = {};
  region.argsz = sizeof(region);
  region.vaddr = address;
  region.size = size;
  if (ioctl(container_, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &region) != 0) Die("REGISTER_MEMORY");
}

DirectSpace::DirectSpace(uint32_t cdev) {
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

void DirectSpace::Map(uint64_t iova, uint64_t address, uint64_t size) {
  iommu::IoasMap map = {};
  map.size = sizeof(map);
  map.flags = iommu::kIoasMapFixedIova | iommu::kIoasMapReadable | iommu::kIoasMapWriteable;
  map.ioas_id = ioas_;
  map.user_va = address;
  map.length = size;
  map.iova = iova;
  if (syscall(SYS_ioctl, fd_, iommu::kIoasMap, &map) != 0) Die("IOAS_MAP");
}

void DirectSpace::Unmap(uint64_t iova, uint64_t size) {
  iommu::IoasUnmap unmap = {.size = sizeof(unmap), .ioas_id = ioas_, .iova = iova, .length = size};
  if (syscall(SYS_ioctl, fd_, iommu::kIoasUnmap, &unmap) != 0) Die("IOAS_UNMAP");
}

uint64_t Populate(uint64_t size) {
  constexpr uint64_t kHugePage = uint64_t{2} << 20;
  void* const data =
      mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) Die("memory");
  const uint64_t address = (reinterpret_cast<uint64_t>(data) + kHugePage - 1) & -kHugePage;
  std::fill_n(reinterpret_cast<volatile char*>(address), size, 1);
  return address;
}

double Quantile(std::vector<double> samples, double part) {
  std::sort(samples.begin(), samples.end());
  return samples[static_cast<size_t>(part * static_cast<double>(samples.size() - 1))];
}

Comparison Compare(int rounds, const std::function<double()>& first,
                   const std::function<double()>& second) {
  std::vector<double> first_times;
  std::vector<double> second_times;
  std::vector<double> ratios;
  // The first two rounds do not count; either goes first as often as the other.
  for (int i = -2; i < rounds; ++i) {
    double second_time = i % 2 == 0 ? second() : 0;
    const double first_time = first();
    if (i % 2 != 0) second_time = second();
    if (i < 0) continue;
    first_times.push_back(first_time);
    second_times.push_back(second_time);
    ratios.push_back(first_time / second_time);
  }
  return {.first = Quantile(first_times, 0.5),
          .second = Quantile(second_times, 0.5),
          .ratio = Quantile(ratios, 0.5),
          .low = Quantile(ratios, 0.25),
          .high = Quantile(ratios, 0.75)};
}

}  // namespace tests
