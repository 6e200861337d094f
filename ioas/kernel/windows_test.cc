// Windows on iommufd, whose calls are answered here.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/kernel/kernel_backend.h"
#include "ioas/kernel/scripted_system_calls.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi;
namespace iommu = compat::abi::iommufd;

constexpr uint32_t kIoas = 3;
constexpr uint32_t kDevice = 5;
constexpr uint32_t kRegistry = 20;
constexpr uint32_t kHwpt = 21;
constexpr uint64_t kPlace = 0x40000;  // where the registry has what is pinned
constexpr MemoryRange kMemory = {0x7000000, 0x70fffff};
constexpr PinnedMemory kPinned = {kMemory, kPlace >> 12};
constexpr PageRun kRun = {{0x10000, 0x11fff}, 0x7003000, kAccessRead, kPinned};
constexpr PageRun kUnpinnedRun = {{0x10000, 0x11fff}, 0x7003000, kAccessRead, {}};

class WindowsTest : public ::testing::Test {
 protected:
  WindowsTest() {
    calls_.OnIoctl<iommu::IoasAlloc>(iommu::kIoasAlloc, [](iommu::IoasAlloc& call) {
      call.out_ioas_id = kRegistry;
      return 0;
    });
    calls_.OnIoctl<iommu::HwptAlloc>(iommu::kHwptAlloc, [](iommu::HwptAlloc& call) {
      EXPECT_EQ(call.dev_id, kDevice);
      EXPECT_EQ(call.pt_id, kRegistry);
      call.out_hwpt_id = kHwpt;
      return 0;
    });
    calls_.OnIoctl<iommu::Option>(iommu::kOption, [this](iommu::Option& call) {
      EXPECT_EQ(call.option_id, iommu::kOptionHugePages);
      EXPECT_EQ(call.object_id, kIoas);
      large_pages_ = static_cast<int>(call.val64);
      return 0;
    });
    AnswerMap(0);
    AnswerCopies({0});
    calls_.OnIoctl<iommu::IoasUnmap>(iommu::kIoasUnmap, [this](iommu::IoasUnmap& call) {
      EXPECT_EQ(call.ioas_id, kRegistry);
      unpinned_ = {call.iova, call.iova + call.length - 1};
      return 0;
    });
    calls_.OnIoctl<abi::DmaUnmap>(abi::kIommuUnmapDma, [this](abi::DmaUnmap& call) {
      cut_ = {call.iova, call.iova + call.size - 1};
      return 0;
    });
  }

  // Maps in the address space are answered by an errno, those in the registry by kPlace or one.
  void AnswerMap(int code, int registry_code = 0) {
    calls_.OnIoctl<iommu::IoasMap>(iommu::kIoasMap,
                                   [this, code, registry_code](iommu::IoasMap& call) {
                                     mapped_ = call;
                                     if (call.ioas_id == kIoas) return -code;
                                     EXPECT_EQ(call.flags & iommu::kIoasMapFixedIova, 0u);
                                     call.iova = kPlace;
                                     return -registry_code;
                                   });
  }
  // Copies are answered one after the other, and the last answer goes on.
  void AnswerCopies(std::vector<int> codes) {
    calls_.OnIoctl<iommu::IoasCopy>(iommu::kIoasCopy, [this, codes](iommu::IoasCopy& call) {
      copied_ = call;
      return -codes[std::min(copies_++, codes.size() - 1)];
    });
  }
  int64_t Made(long request) const {
    return std::count(calls_.made.begin(), calls_.made.end(), request);
  }

  PinRegistry registry_ = {kDevice, 0, 0, 0};
  IoasHandle space_ = {.iommufd = 8, .ioas = kIoas, .registry = &registry_};
  ScriptedSystemCalls calls_;
  KernelBackend backend_{calls_};
  iommu::IoasMap mapped_ = {};
  iommu::IoasCopy copied_ = {};
  size_t copies_ = 0;
  IovaRange unpinned_ = {};
  IovaRange cut_ = {};
  int large_pages_ = -1;
};

TEST_F(WindowsTest, MemoryIsPinnedInARegistryThatIsMadeOnce) {
  const Result<uint32_t> place = backend_.Pin(space_, kMemory);
  ASSERT_TRUE(place.ok());
  EXPECT_EQ(*place, kPinned.place);
  EXPECT_EQ(mapped_.ioas_id, kRegistry);
  EXPECT_EQ(mapped_.user_va, kMemory.first);
  EXPECT_EQ(mapped_.length, kMemory.size());
  EXPECT_EQ(mapped_.flags, iommu::kIoasMapReadable | iommu::kIoasMapWriteable);
  ASSERT_TRUE(backend_.Pin(space_, kMemory).ok());
  EXPECT_EQ(Made(iommu::kIoasAlloc), 1);
  EXPECT_EQ(Made(iommu::kHwptAlloc), 1);
  backend_.Unpin(space_, kPinned);
  EXPECT_EQ(unpinned_, (IovaRange{kPlace, kPlace + kMemory.size() - 1}));
}

TEST_F(WindowsTest, MemoryThatCannotBePinnedIsAFault) {
  AnswerMap(0, EFAULT);
  EXPECT_EQ(backend_.Pin(space_, kMemory).error().code, EFAULT);
  AnswerMap(0, EDQUOT);
  EXPECT_EQ(backend_.Pin(space_, kMemory).error().code, ENOMEM);
}

TEST_F(WindowsTest, NothingIsPinnedWithoutADevice) {
  registry_.device = 0;
  EXPECT_EQ(backend_.Pin(space_, kMemory).error().code, EINVAL);
  EXPECT_TRUE(calls_.made.empty());
}

TEST_F(WindowsTest, RunIsOneCopyOfWhatIsPinned) {
  ASSERT_TRUE(backend_.Pin(space_, kMemory).ok());
  ASSERT_TRUE(backend_.MapRun(space_, kRun).ok());
  EXPECT_EQ(copied_.src_ioas_id, kRegistry);
  EXPECT_EQ(copied_.src_iova, kPlace + 0x3000);
  EXPECT_EQ(copied_.dst_ioas_id, kIoas);
  EXPECT_EQ(copied_.dst_iova, 0x10000u);
  EXPECT_EQ(copied_.length, 0x2000u);
  EXPECT_EQ(copied_.flags, iommu::kIoasMapFixedIova | iommu::kIoasMapReadable);
  EXPECT_EQ(large_pages_, 0);
  ASSERT_TRUE(backend_.MapRun(space_, kRun).ok());
  EXPECT_EQ(Made(iommu::kOption), 1);
  EXPECT_EQ(Made(abi::kIommuUnmapDma), 0);
}

TEST_F(WindowsTest, WhatIsReplacedIsCutOutFirst) {
  AnswerCopies({EEXIST, 0});
  ASSERT_TRUE(backend_.MapRun(space_, kRun).ok());
  EXPECT_EQ(cut_, kRun.iovas);
  EXPECT_EQ(copies_, 2u);
}

TEST_F(WindowsTest, RunThatFailsLeadsNowhere) {
  AnswerCopies({EEXIST, EFAULT});
  EXPECT_EQ(backend_.MapRun(space_, kRun).error().code, ENOMEM);
  EXPECT_EQ(cut_, kRun.iovas);
}

TEST_F(WindowsTest, MemoryThatIsNotPinnedIsMappedItself) {
  ASSERT_TRUE(backend_.MapRun(space_, kUnpinnedRun).ok());
  EXPECT_EQ(mapped_.ioas_id, kIoas);
  EXPECT_EQ(mapped_.user_va, 0x7003000u);
  EXPECT_EQ(copies_, 0u);
}

TEST_F(WindowsTest, MemoryThatIsNotThereReplacesNothing) {
  AnswerMap(EFAULT);
  EXPECT_EQ(backend_.MapRun(space_, kUnpinnedRun).error().code, EFAULT);
  AnswerMap(EEXIST, EFAULT);
  EXPECT_EQ(backend_.MapRun(space_, kUnpinnedRun).error().code, EFAULT);
  EXPECT_EQ(Made(abi::kIommuUnmapDma), 0);
}

TEST_F(WindowsTest, UnpinnedRunReplacesByWayOfTheRegistry) {
  AnswerMap(EEXIST);
  AnswerCopies({EEXIST, 0});
  ASSERT_TRUE(backend_.MapRun(space_, kUnpinnedRun).ok());
  EXPECT_EQ(copied_.src_iova, kPlace);
  EXPECT_EQ(cut_, kRun.iovas);
  EXPECT_EQ(unpinned_, (IovaRange{kPlace, kPlace + 0x1fff}));
}

TEST_F(WindowsTest, MappingsOfTheNextContainerAreLargeAgain) {
  ASSERT_TRUE(backend_.MapRun(space_, kRun).ok());
  calls_.OnIoctl<abi::DmaMap>(abi::kIommuMapDma, [](const abi::DmaMap&) { return 0; });
  ASSERT_TRUE(backend_.Map(space_, {.first = 0, .last = 0xfff, .flags = kAccessRead}).ok());
  EXPECT_EQ(large_pages_, 1);
}

TEST_F(WindowsTest, RegistryGoesWithEverything) {
  ASSERT_TRUE(backend_.Pin(space_, kMemory).ok());
  calls_.OnIoctl<iommu::IoasUnmap>(iommu::kIoasUnmap, [](iommu::IoasUnmap&) { return 0; });
  calls_.OnIoctl<iommu::Destroy>(iommu::kDestroy, [](iommu::Destroy&) { return 0; });
  backend_.Discard(space_, {0, UINT64_MAX});
  EXPECT_EQ(Made(iommu::kDestroy), 2);
  ASSERT_TRUE(backend_.Pin(space_, kMemory).ok());
  EXPECT_EQ(Made(iommu::kIoasAlloc), 2);
}

}  // namespace
}  // namespace ioas::kernel
