#include "compat/vfio/range_advice.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/settings/settings.h"
#include "compat/soft/test_host.h"
#include "ppc/container_personality.h"

namespace compat::vfio {
namespace {

using ioas::IovaRange;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kGiB = uint64_t{1} << 30;
// The devices' IOMMU reaches 39 bits, but for interrupts.
constexpr IovaRange kInterrupts = {0xfee00000, 0xfeefffff};
constexpr uint64_t kEnd = uint64_t{1} << 39;

settings::Settings Both() {
  settings::Settings settings;
  settings.container = settings::ContainerTypes::kBoth;
  return settings;
}

class RangeAdviceTest : public ::testing::Test {
 protected:
  ~RangeAdviceTest() override { munmap(memory_, kPage); }

  // A MAP_DMA that is to be refused; returns what is to be said of it.
  std::optional<RangeAdvice> AdviceOnMap(uint64_t iova, uint64_t size) {
    abi::DmaMap map = MakeMap(iova, size);
    const long result = host_.Ioctl(container_, abi::kIommuMapDma, &map);
    EXPECT_LT(result, 0);
    const uint32_t slot = host_.Slot(container_);
    return AdviseOn(host_.host(), slot,
                    {abi::kIommuMapDma, reinterpret_cast<uint64_t>(&map), caller_},
                    static_cast<int>(-result));
  }
  long Map(uint64_t iova) {
    abi::DmaMap map = MakeMap(iova, kPage);
    return host_.Ioctl(container_, abi::kIommuMapDma, &map);
  }
  long Enable() { return host_.Ioctl(container_, abi::kIommuEnable, uint64_t{0}); }
  // Of a mapping outside that has another place: where that is.
  IovaRange Instead(uint64_t iova, uint64_t size) {
    const auto advice = AdviceOnMap(iova, size);
    if (!advice || !advice->instead) return {1, 0};
    EXPECT_EQ(advice->refused, (IovaRange{iova, iova + size - 1}));
    EXPECT_TRUE(advice->is_as_large);
    EXPECT_EQ(advice->instead->last - advice->instead->first, size - 1);
    return *advice->instead;
  }
  void MakeContainer(uint32_t type) { container_ = host_.ContainerOfType(type, group_); }

 private:
  abi::DmaMap MakeMap(uint64_t iova, uint64_t size) const {
    return {.argsz = sizeof(abi::DmaMap),
            .flags = abi::kDmaMapFlagRead,
            .vaddr = reinterpret_cast<uint64_t>(memory_),
            .iova = iova,
            .size = size};
  }

  void* memory_ = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  soft::TestMemory caller_;
  ppc::ContainerPersonality personality_{Both()};
  soft::TestHost host_{personality_};
  int group_ = -1;
  int container_ = -1;
};

TEST_F(RangeAdviceTest, WhatIsAtOrAboveGoesFirst) {
  MakeContainer(abi::kType1v2Iommu);
  EXPECT_EQ(Instead(kInterrupts.first, kPage).first, kInterrupts.last + 1);
  // Across the hole.
  EXPECT_EQ(Instead(0, 4 * kGiB).first, kInterrupts.last + 1);
  // Above is nothing.
  EXPECT_EQ(Instead(kEnd, kPage).first, 0u);
  EXPECT_EQ(Instead(-kPage, kPage).first, 0u);
  // What is mapped would not do.
  ASSERT_EQ(Map(kInterrupts.last + 1), 0);
  EXPECT_EQ(Instead(kInterrupts.first, kPage).first, kInterrupts.last + 1 + kPage);
}

TEST_F(RangeAdviceTest, TheLargestIsNamedWhereNothingIsLargeEnough) {
  MakeContainer(abi::kType1v2Iommu);
  const auto advice = AdviceOnMap(0, kEnd);
  ASSERT_TRUE(advice);
  EXPECT_FALSE(advice->is_as_large);
  EXPECT_EQ(advice->instead, (IovaRange{kInterrupts.last + 1, kEnd - 1}));
}

TEST_F(RangeAdviceTest, OtherRefusalsNeedNone) {
  MakeContainer(abi::kType1v2Iommu);
  EXPECT_FALSE(AdviceOnMap(kPage, 1));
  EXPECT_FALSE(AdviceOnMap(kPage, 0));
  EXPECT_FALSE(AdviceOnMap(-kPage, 2 * kPage));
  ASSERT_EQ(Map(kPage), 0);
  EXPECT_FALSE(AdviceOnMap(kPage, kPage));
}

TEST_F(RangeAdviceTest, ASpaprContainersMappingsGoIntoItsWindows) {
  MakeContainer(abi::kSpaprTceIommu);
  ASSERT_EQ(Enable(), 0);
  EXPECT_EQ(Instead(8 * kGiB, kGiB), (IovaRange{0, kGiB - 1}));
  EXPECT_EQ(Instead(2 * kGiB - kPage, 2 * kPage).first, 0u);
  const auto advice = AdviceOnMap(0, 4 * kGiB);
  ASSERT_TRUE(advice);
  EXPECT_FALSE(advice->is_as_large);
  EXPECT_EQ(advice->instead, (IovaRange{0, 2 * kGiB - 1}));
  // Another matter.
  EXPECT_FALSE(AdviceOnMap(0, kPage - 1));
}

}  // namespace
}  // namespace compat::vfio
