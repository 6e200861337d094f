// The stress on a host in this process, without the library around it.
#include "compat/vfio/host.h"

#include <gtest/gtest.h>
#include <linux/vfio.h>

#include <array>
#include <cstddef>

#include "compat/soft/test_host.h"
#include "tests/support/vfio_client.h"
#include "tests/threads/stress.h"

namespace {

class HostContainer : public tests::StressedContainer {
 public:
  int Map(uint64_t iova, uint64_t size) override {
    vfio_iommu_type1_dma_map map{};
    map.argsz = sizeof(map);
    map.flags = unsigned{VFIO_DMA_MAP_FLAG_READ} | unsigned{VFIO_DMA_MAP_FLAG_WRITE};
    map.vaddr = reinterpret_cast<uintptr_t>(memory_.data());
    map.iova = iova;
    map.size = size;
    return static_cast<int>(-host_.Ioctl(container_, VFIO_IOMMU_MAP_DMA, &map));
  }

  int64_t Unmap(uint64_t iova, uint64_t size) override {
    vfio_iommu_type1_dma_unmap unmap{};
    unmap.argsz = sizeof(unmap);
    unmap.iova = iova;
    unmap.size = size;
    const long error = host_.Ioctl(container_, VFIO_IOMMU_UNMAP_DMA, &unmap);
    return error != 0 ? error : static_cast<int64_t>(unmap.size);
  }

  int64_t Available() override {
    alignas(8) std::array<std::byte, 4096> buffer{};
    auto* const info = reinterpret_cast<vfio_iommu_type1_info*>(buffer.data());
    info->argsz = buffer.size();
    EXPECT_EQ(host_.Ioctl(container_, VFIO_IOMMU_GET_INFO, info), 0);
    return tests::MappingsAvailable(*info);
  }

 private:
  tests::Memory memory_{tests::kStressMemory};
  compat::soft::TestHost host_;
  int group_ = -1;
  int container_ = host_.ContainerOfType(VFIO_TYPE1v2_IOMMU, group_);
};

TEST(HostThreadsTest, EightThreadsEndWithTheReferenceModel) {
  HostContainer container;
  ASSERT_EQ(container.Available(), 65535);
  tests::Stress(container, 1 << 20, tests::StressSeconds());
}

}  // namespace
