#include "tests/vm/windows/container.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace tests {
namespace {

constexpr uint64_t kPage = 4096;

}  // namespace

void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

SpaprContainer::SpaprContainer(const char* group, const char* device, uint64_t size)
    : container_(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC)),
      group_(open((std::string("/dev/vfio/") + group).c_str(), O_RDWR | O_CLOEXEC)) {
  if (container_ < 0 || group_ < 0) Die("the container or the group cannot be opened");
  if (ioctl(group_, VFIO_GROUP_SET_CONTAINER, &container_) != 0) Die("SET_CONTAINER");
  if (ioctl(container_, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU) != 0) Die("SET_IOMMU");
  device_ = ioctl(group_, VFIO_GROUP_GET_DEVICE_FD, device);
  if (device_ < 0) Die("GET_DEVICE_FD");
  void* const memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Die("memory");
  memory_ = static_cast<std::byte*>(memory);
  vfio_iommu_spapr_register_memory region = {};
  region.argsz = sizeof(region);
  region.vaddr = reinterpret_cast<uint64_t>(memory);
  region.size = size;
  if (ioctl(container_, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &region) != 0) Die("REGISTER_MEMORY");
}

void SpaprContainer::Map(uint64_t iova, uint64_t pages, uint64_t memory_page) const {
  vfio_iommu_type1_dma_map map = {};
  map.argsz = sizeof(map);
  map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
  map.vaddr = reinterpret_cast<uint64_t>(memory_) + memory_page * kPage;
  map.iova = iova;
  map.size = pages * kPage;
  if (ioctl(container_, VFIO_IOMMU_MAP_DMA, &map) != 0) Die("MAP_DMA");
}

void SpaprContainer::Unmap(uint64_t iova, uint64_t pages) const {
  vfio_iommu_type1_dma_unmap unmap = {};
  unmap.argsz = sizeof(unmap);
  unmap.iova = iova;
  unmap.size = pages * kPage;
  if (ioctl(container_, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0) Die("UNMAP_DMA");
}

std::byte* SpaprContainer::PageOfMemory(uint64_t page) const { return memory_ + page * kPage; }

}  // namespace tests
