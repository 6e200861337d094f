#include "tests/support/vfio_client.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace tests {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.Release();
  }
  return *this;
}

void Descriptor::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

int Descriptor::Release() { return std::exchange(fd_, -1); }

Descriptor OpenContainer() { return Descriptor(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC)); }

Descriptor OpenGroup(uint32_t number) {
  const std::string path = "/dev/vfio/" + std::to_string(number);
  return Descriptor(open(path.c_str(), O_RDWR | O_CLOEXEC));
}

Descriptor Client::OpenDevice(const char* address) const {
  return Descriptor(ioctl(group.get(), VFIO_GROUP_GET_DEVICE_FD, address));
}

Client MakeClient(uint32_t group, int iommu_type) {
  Client client{OpenContainer(), OpenGroup(group)};
  const int container = client.container.get();
  if (ioctl(client.group.get(), VFIO_GROUP_SET_CONTAINER, &container) != 0 ||
      (iommu_type != 0 && ioctl(container, VFIO_SET_IOMMU, iommu_type) != 0)) {
    return {};
  }
  return client;
}

int MapDma(int container, const void* memory, uint64_t iova, uint64_t size) {
  vfio_iommu_type1_dma_map map{};
  map.argsz = sizeof(map);
  map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
  map.vaddr = reinterpret_cast<uintptr_t>(memory);
  map.iova = iova;
  map.size = size;
  return ioctl(container, VFIO_IOMMU_MAP_DMA, &map) == 0 ? 0 : errno;
}

int64_t UnmapDma(int container, uint64_t iova, uint64_t size) {
  vfio_iommu_type1_dma_unmap unmap{};
  unmap.argsz = sizeof(unmap);
  unmap.iova = iova;
  unmap.size = size;
  if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0) return -errno;
  return static_cast<int64_t>(unmap.size);
}

int64_t MappingsAvailable(int container) {
  alignas(8) std::array<std::byte, 4096> buffer{};
  auto* const info = reinterpret_cast<vfio_iommu_type1_info*>(buffer.data());
  info->argsz = buffer.size();
  if (ioctl(container, VFIO_IOMMU_GET_INFO, info) != 0) return -1;
  return MappingsAvailable(*info);
}

int64_t MappingsAvailable(const vfio_iommu_type1_info& info) {
  const auto* const start = reinterpret_cast<const std::byte*>(&info);
  uint32_t offset = (info.flags & VFIO_IOMMU_INFO_CAPS) != 0 ? info.cap_offset : 0;
  while (offset != 0) {
    const auto* const header = reinterpret_cast<const vfio_info_cap_header*>(start + offset);
    if (header->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL) {
      return reinterpret_cast<const vfio_iommu_type1_info_dma_avail*>(header)->avail;
    }
    offset = header->next;
  }
  return -1;
}

Memory::Memory(size_t size)
    : data_(static_cast<std::byte*>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0))),
      size_(size) {}

Memory::~Memory() { munmap(data_, size_); }

}  // namespace tests
