#include "compat/type1/type1.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <bit>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"
#include "ioas/address_space.h"

namespace compat::type1 {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint32_t kReadWrite = abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite;

class Type1Test : public testing::Test {
 protected:
  void SetUp() override {
    memory_ = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory_, MAP_FAILED);
  }
  void TearDown() override { munmap(memory_, kMemory); }

  void Choose(uint32_t type) { container_ = host_.ContainerOfType(type, group_); }

  long Map(uint64_t iova, uint64_t size, uint32_t flags = kReadWrite, uint64_t offset = 0) {
    abi::DmaMap map = {.argsz = sizeof(map),
                       .flags = flags,
                       .vaddr = reinterpret_cast<uint64_t>(memory_) + offset,
                       .iova = iova,
                       .size = size};
    return host_.Ioctl(container_, abi::kIommuMapDma, &map);
  }
  // Returns the bytes unmapped, or a negated errno.
  long Unmap(uint64_t iova, uint64_t size, uint32_t flags = 0) {
    abi::DmaUnmap unmap = {.argsz = sizeof(unmap), .flags = flags, .iova = iova, .size = size};
    const long result = host_.Ioctl(container_, abi::kIommuUnmapDma, &unmap);
    return result < 0 ? result : static_cast<long>(unmap.size);
  }
  // GET_INFO's capability of this number, good until the next call; null if there is none.
  const abi::InfoCapHeader* Capability(uint16_t id) {
    auto* info = reinterpret_cast<abi::Type1Info*>(info_);
    info->argsz = sizeof(info_);
    EXPECT_EQ(host_.Ioctl(container_, abi::kIommuGetInfo, info), 0);
    for (uint32_t at = info->cap_offset; at != 0;) {
      const auto* header = reinterpret_cast<const abi::InfoCapHeader*>(info_ + at);
      if (header->id == id) return header;
      at = header->next;
    }
    return nullptr;
  }
  uint32_t Available() {
    const auto* available =
        reinterpret_cast<const abi::Type1InfoDmaAvail*>(Capability(abi::kIommuType1InfoDmaAvail));
    return available != nullptr ? available->avail : 0;
  }
  long Track(uint32_t flags) {
    abi::DirtyBitmap dirty = {.argsz = sizeof(dirty), .flags = flags};
    return host_.Ioctl(container_, abi::kIommuDirtyPages, &dirty);
  }
  // The dirty pages that GET_BITMAP reports, or a negated errno.
  long Dirty(uint64_t iova, uint64_t size) {
    std::vector<uint64_t> bits((size / kPage + 63) / 64);
    struct {
      abi::DirtyBitmap dirty;
      abi::DirtyBitmapGet range;
    } request = {{.argsz = sizeof(request), .flags = abi::kIommuDirtyPagesFlagGetBitmap},
                 {.iova = iova,
                  .size = size,
                  .bitmap = {.pgsize = kPage,
                             .size = bits.size() * 8,
                             .data = reinterpret_cast<uint64_t>(bits.data())}}};
    const long result = host_.Ioctl(container_, abi::kIommuDirtyPages, &request);
    if (result < 0) return result;
    long count = 0;
    for (const uint64_t word : bits) count += std::popcount(word);
    return count;
  }

  static constexpr size_t kMemory = 4 << 20;
  soft::TestHost host_;
  void* memory_ = nullptr;
  alignas(8) std::byte info_[4096] = {};
  int container_ = -1;
  int group_ = -1;
};

TEST_F(Type1Test, UnmapBisectingAMappingIsRefusedByVersion2AndChangesNothing) {
  Choose(abi::kType1v2Iommu);
  ASSERT_EQ(Map(0, 64 * kPage), 0);
  EXPECT_EQ(Unmap(0, kPage), -EINVAL);
  EXPECT_EQ(Unmap(32 * kPage, 64 * kPage), -EINVAL);
  EXPECT_EQ(Unmap(0, 64 * kPage), 64 * static_cast<long>(kPage));
}

TEST_F(Type1Test, UnmapOfAMappingsFirstPageTakesAllOfItInVersion1) {
  Choose(abi::kType1Iommu);
  ASSERT_EQ(Map(0, 64 * kPage), 0);
  EXPECT_EQ(Unmap(32 * kPage, kPage), 0);
  EXPECT_EQ(Unmap(0, kPage), 64 * static_cast<long>(kPage));
}

TEST_F(Type1Test, UnmapUpToTheEndOfTheSpaceFindsNothing) {
  Choose(abi::kType1v2Iommu);
  ASSERT_EQ(Map(16 * kPage, kPage), 0);
  // The sum of IOVA and size is 0 in 64 bits, and so it is in the kernel's comparisons.
  EXPECT_EQ(Unmap(kPage, -kPage), 0);
  EXPECT_EQ(Unmap(0, 0, abi::kDmaUnmapFlagAll), static_cast<long>(kPage));
}

TEST_F(Type1Test, WhereAnyIovaWillDoThereIsNoListOfRanges) {
  Choose(abi::kType1v2Iommu);
  EXPECT_NE(Capability(abi::kIommuType1InfoCapIovaRange), nullptr);
  vfio::Host& host = host_.host();
  ioas::Arena arena = host.arena();
  ioas::AddressSpace space(arena, arena.Get(host.state().containers)->space);
  const ioas::IovaRange everything[] = {{0, UINT64_MAX}};
  space.SetProperties({.page_sizes = kPage, .apertures = everything, .reserved = {}});
  EXPECT_EQ(Capability(abi::kIommuType1InfoCapIovaRange), nullptr);
  EXPECT_NE(Available(), 0u);
}

TEST_F(Type1Test, MappingsAreLimitedAsInTheKernel) {
  Choose(abi::kType1v2Iommu);
  for (uint64_t i = 0; i < kMappingLimit; ++i)
    ASSERT_EQ(Map((i + (i >= 65000 ? 1 << 20 : 0)) * kPage, kPage), 0);
  EXPECT_EQ(Available(), 0u);
  EXPECT_EQ(Map(uint64_t{1} << 36, kPage), -ENOSPC);
  EXPECT_EQ(Map(0, kPage), -EEXIST);
  EXPECT_EQ(Unmap(0, kPage), static_cast<long>(kPage));
  EXPECT_EQ(Map(uint64_t{1} << 36, kPage), 0);
}

TEST_F(Type1Test, AddressOfAMappingCanBeTakenAwayAndGivenAnew) {
  Choose(abi::kType1v2Iommu);
  ASSERT_EQ(Map(0, kPage), 0);
  EXPECT_EQ(Map(0, kPage, abi::kDmaMapFlagVaddr), -EINVAL);
  EXPECT_EQ(Unmap(0, kPage, abi::kDmaUnmapFlagVaddr), static_cast<long>(kPage));
  EXPECT_EQ(Unmap(0, kPage, abi::kDmaUnmapFlagVaddr), -EINVAL);
  EXPECT_EQ(Map(0, 2 * kPage, abi::kDmaMapFlagVaddr), -EINVAL);
  EXPECT_EQ(Map(0, kPage, abi::kDmaMapFlagVaddr, kPage), 0);
  EXPECT_EQ(Map(kPage, kPage, abi::kDmaMapFlagVaddr), -ENOENT);
  EXPECT_EQ(Unmap(0, kPage), static_cast<long>(kPage));
}

TEST_F(Type1Test, InvalidationOfSeveralMappingsIsUndoneWhenOneIsInvalidAlready) {
  Choose(abi::kType1v2Iommu);
  ASSERT_EQ(Map(0, kPage), 0);
  ASSERT_EQ(Map(kPage, kPage), 0);
  ASSERT_EQ(Unmap(kPage, kPage, abi::kDmaUnmapFlagVaddr), static_cast<long>(kPage));
  EXPECT_EQ(Unmap(0, 2 * kPage, abi::kDmaUnmapFlagVaddr), -EINVAL);
  EXPECT_EQ(Map(0, kPage, abi::kDmaMapFlagVaddr), -EINVAL);
  EXPECT_EQ(Map(kPage, kPage, abi::kDmaMapFlagVaddr), 0);
}

TEST_F(Type1Test, DirtyBitmapOfAMappingInTheMiddleOfAWordGrowsAsInTheKernel) {
  Choose(abi::kType1v2Iommu);
  ASSERT_EQ(Map(0, 16 * kPage), 0);
  ASSERT_EQ(Map(16 * kPage, 16 * kPage), 0);
  EXPECT_EQ(Dirty(0, 32 * kPage), -EINVAL);
  ASSERT_EQ(Track(abi::kIommuDirtyPagesFlagStart), 0);
  EXPECT_EQ(Dirty(0, 64 * kPage), 32);
  // The kernel shifts the second mapping's bitmap in place and clears only its own 16 bits.
  EXPECT_EQ(Dirty(0, 64 * kPage), 48);
  EXPECT_EQ(Dirty(0, 64 * kPage), 64);
  ASSERT_EQ(Track(abi::kIommuDirtyPagesFlagStop), 0);
  ASSERT_EQ(Track(abi::kIommuDirtyPagesFlagStart), 0);
  EXPECT_EQ(Dirty(0, 64 * kPage), 32);
}

TEST_F(Type1Test, DirtyTrackingIsRefusedByVersion1BeforeItsArgumentIsRead) {
  Choose(abi::kType1Iommu);
  EXPECT_EQ(host_.Ioctl(container_, abi::kIommuDirtyPages, uint64_t{0}), -EACCES);
}

TEST_F(Type1Test, UnmapReportsDirtyPagesOnlyWhileTracking) {
  Choose(abi::kType1v2Iommu);
  ASSERT_EQ(Map(0, 8 * kPage), 0);
  uint64_t bits = 0;
  struct {
    abi::DmaUnmap unmap;
    abi::Bitmap bitmap;
  } request = {{.argsz = sizeof(request),
                .flags = abi::kDmaUnmapFlagGetDirtyBitmap,
                .iova = 0,
                .size = 8 * kPage},
               {.pgsize = kPage, .size = 8, .data = reinterpret_cast<uint64_t>(&bits)}};
  EXPECT_EQ(host_.Ioctl(container_, abi::kIommuUnmapDma, &request), -EINVAL);
  ASSERT_EQ(Track(abi::kIommuDirtyPagesFlagStart), 0);
  EXPECT_EQ(host_.Ioctl(container_, abi::kIommuUnmapDma, &request), 0);
  EXPECT_EQ(request.unmap.size, 8 * kPage);
  EXPECT_EQ(bits, 0xffu);
}

TEST_F(Type1Test, ContainerLosesItsMappingsWithItsLastGroup) {
  Choose(abi::kType1v2Iommu);
  ASSERT_EQ(Track(abi::kIommuDirtyPagesFlagStart), 0);
  ASSERT_EQ(Map(0, kPage), 0);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  EXPECT_EQ(Map(0, kPage), -EINVAL);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupSetContainer, &container_), 0);
  ASSERT_EQ(host_.Ioctl(container_, abi::kSetIommu, uint64_t{abi::kType1Iommu}), 0);
  EXPECT_EQ(Available(), kMappingLimit);
  EXPECT_EQ(Map(0, kPage), 0);
}

TEST_F(Type1Test, NoOtherGroupJoinsWhileAnAddressIsInvalid) {
  Choose(abi::kType1v2Iommu);
  ASSERT_EQ(Map(0, kPage), 0);
  ASSERT_EQ(Unmap(0, kPage, abi::kDmaUnmapFlagVaddr), long{kPage});
  const int other = host_.OpenGroup(soft::TestHost::kOtherGroup);
  EXPECT_EQ(host_.Ioctl(other, abi::kGroupSetContainer, &container_), -EBUSY);
  ASSERT_EQ(Map(0, kPage, abi::kDmaMapFlagVaddr), 0);
  EXPECT_EQ(host_.Ioctl(other, abi::kGroupSetContainer, &container_), 0);
}

}  // namespace
}  // namespace compat::type1
