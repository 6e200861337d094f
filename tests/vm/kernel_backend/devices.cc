// Devices on a real /dev/iommu: bind, attach, replace, detach, page tables, what the hardware says.
#include <gtest/gtest.h>

#include <span>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "ioas/backend.h"
#include "ioas/kernel/dirty_tracking.h"
#include "tests/vm/kernel_backend/fixture.h"

namespace tests {
namespace {

namespace iommu = compat::abi::iommufd;
constexpr uint32_t kReadWrite = ioas::kAccessRead | ioas::kAccessWrite;
constexpr const char* kNoDirtyTracking =
    "the emulated VT-d has no second-stage access and dirty bits";

TEST_F(IommufdTest, ADeviceIsBoundOnceAndFreeWhenItIsClosed) {
  for (int i = 0; i < 2; ++i) {
    const auto node = ioas::kernel::Cdev::Open(calls_, cdevs.at(0));
    ASSERT_TRUE(node.ok());
    const ioas::kernel::Cdev cdev(calls_, node->get());
    EXPECT_EQ(cdev.Attach(ioas_).error().code, EINVAL) << "it is not bound yet";
    EXPECT_EQ(cdev.Bind(node->get()).error().code, EBADFD);
    EXPECT_TRUE(cdev.Bind(iommufd_.fd()).ok());
    EXPECT_EQ(cdev.Bind(iommufd_.fd()).error().code, EINVAL);
    const auto again = ioas::kernel::Cdev::Open(calls_, cdevs.at(0));
    EXPECT_EQ(ioas::kernel::Cdev(calls_, again->get()).Bind(iommufd_.fd()).error().code, EINVAL);
  }
}

TEST_F(IommufdTest, ThereIsNoDeviceOfAnotherNumber) {
  EXPECT_EQ(ioas::kernel::Cdev::Open(calls_, 12345).error().code, ENOENT);
}

TEST_F(DeviceTest, IsAttachedThroughAPageTableOfTheKernels) {
  const auto attached = cdev_.Attach(ioas_);
  ASSERT_TRUE(attached.ok());
  EXPECT_NE(*attached, ioas_);
  EXPECT_EQ(*cdev_.Attach(ioas_), *attached) << "attaching again changes nothing";
  EXPECT_EQ(cdev_.Attach(12345).error().code, ENOENT);
  EXPECT_EQ(iommufd_.Destroy(ioas_).error().code, EBUSY);
}

TEST_F(DeviceTest, MovesToAnotherSpaceAndBack) {
  const uint32_t other = AllocIoas();
  const Memory memory(2 * kPage);
  ASSERT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory.address(), kPage, kReadWrite).ok());
  ASSERT_TRUE(iommufd_.Map({other, 0x10000}, memory.address(), 2 * kPage, kReadWrite).ok());
  for (int i = 0; i < 2; ++i) {
    Attach(ioas_);
    EXPECT_EQ(PinnedBytes(), kPage);
    EXPECT_EQ(iommufd_.IovaRanges(other, {})->count, 1u);
    Attach(other);
    EXPECT_EQ(PinnedBytes(), 2 * kPage);
    EXPECT_EQ(iommufd_.IovaRanges(ioas_, {})->count, 1u);
  }
}

TEST_F(DeviceTest, DetachesAndAttachesAgain) {
  EXPECT_TRUE(cdev_.Detach().ok()) << "it is not attached";
  Attach(ioas_);
  const Memory memory(kPage);
  ASSERT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory.address(), kPage, kReadWrite).ok());
  EXPECT_TRUE(cdev_.Detach().ok());
  EXPECT_EQ(PinnedBytes(), 0u);
  Attach(ioas_);
  EXPECT_EQ(PinnedBytes(), kPage);
}

TEST_F(DeviceTest, IsNotAttachedWhereItsReservedRangesAreMapped) {
  const Memory memory(kPage);
  ASSERT_TRUE(iommufd_.Map({ioas_, 0xfee00000}, memory.address(), kPage, kReadWrite).ok());
  EXPECT_EQ(cdev_.Attach(ioas_).error().code, EADDRINUSE);
  ASSERT_TRUE(iommufd_.Unmap({ioas_, 0}, UINT64_MAX).ok());
  const ioas::IovaRange low[] = {{0, 0xffffffff}};
  ASSERT_TRUE(iommufd_.AllowIovas(ioas_, low).ok());
  EXPECT_EQ(cdev_.Attach(ioas_).error().code, EADDRINUSE);
  ASSERT_TRUE(iommufd_.AllowIovas(ioas_, {}).ok());
  Attach(ioas_);
}

TEST_F(DeviceTest, DevicesOfTwoGroupsShareASpace) {
  Attach(ioas_);
  const auto node = ioas::kernel::Cdev::Open(calls_, cdevs.at(1));
  const ioas::kernel::Cdev second(calls_, node->get());
  const auto bound = second.Bind(iommufd_.fd());
  ASSERT_TRUE(bound.ok());
  EXPECT_NE(*bound, device_);
  EXPECT_TRUE(second.Attach(ioas_).ok());
  const Memory memory(kPage);
  EXPECT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory.address(), kPage, kReadWrite).ok());
  EXPECT_EQ(PinnedBytes(), kPage);
}

TEST_F(DeviceTest, APageTableMadeForItIsUsedUntilItIsDestroyed) {
  const auto made = iommufd_.AllocHwpt({.device = device_, .parent = ioas_});
  ASSERT_TRUE(made.ok()) << made.error().code;
  EXPECT_EQ(*cdev_.Attach(*made), *made);
  EXPECT_EQ(iommufd_.Destroy(*made).error().code, EBUSY);
  const Memory memory(kPage);
  ASSERT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory.address(), kPage, kReadWrite).ok());
  EXPECT_TRUE(cdev_.Detach().ok());
  EXPECT_EQ(PinnedBytes(), kPage) << "the page table keeps it";
  EXPECT_TRUE(iommufd_.Destroy(*made).ok());
  EXPECT_EQ(PinnedBytes(), 0u);
  EXPECT_EQ(iommufd_.AllocHwpt({.device = device_, .parent = 12345}).error().code, EINVAL);
  EXPECT_EQ(iommufd_.AllocHwpt({.device = 12345, .parent = ioas_}).error().code, ENOENT);
}

TEST_F(DeviceTest, TheHardwareIsVtd) {
  iommu::HwInfoVtd vtd = {};
  const auto info = iommufd_.GetHwInfo(device_, std::as_writable_bytes(std::span(&vtd, 1)));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->data_type, iommu::kHwInfoTypeIntelVtd);
  EXPECT_EQ(info->data_length, sizeof(vtd));
  EXPECT_NE(vtd.cap_reg, 0u);
  EXPECT_EQ(iommufd_.GetHwInfo(12345, {}).error().code, ENOENT);
}

TEST_F(DeviceTest, IsAttachedToWhatTracksDirtyPagesIfThereIsSuch) {
  const bool can = iommufd_.GetHwInfo(device_, {})->can_track_dirty_pages();
  ioas::TrackingTables tables = {};
  ioas::kernel::DirtyTracking tracking(iommufd_, ioas_, tables);
  EXPECT_TRUE(tracking.Attach(cdev_, device_).ok());
  EXPECT_EQ(tracking.IsAvailable(), can);
  EXPECT_TRUE(cdev_.Detach().ok());
  tracking.DestroyUnused();
  EXPECT_EQ(tables.count, 0u);
}

TEST_F(DeviceTest, WithoutTheHardwareThereIsNoDirtyTracking) {
  if (iommufd_.GetHwInfo(device_, {})->can_track_dirty_pages()) {
    GTEST_SKIP() << "this IOMMU tracks dirty pages";
  }
  const auto refused = iommufd_.AllocHwpt(
      {.device = device_, .parent = ioas_, .flags = iommu::kHwptAllocDirtyTracking});
  EXPECT_EQ(refused.error().code, EOPNOTSUPP);
  const auto plain = iommufd_.AllocHwpt({.device = device_, .parent = ioas_});
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(iommufd_.SetDirtyTracking(*plain, true).error().code, EOPNOTSUPP);
  uint64_t word = 0;
  const ioas::kernel::DirtyRange range = {
      .iova = 0, .length = kPage, .page_size = kPage, .bitmap = reinterpret_cast<uint64_t>(&word)};
  EXPECT_EQ(iommufd_.GetDirtyBitmap(*plain, range, true).error().code, EOPNOTSUPP);
}

TEST_F(DeviceTest, DirtyPagesAreThoseThatWereWritten) {
  if (!iommufd_.GetHwInfo(device_, {})->can_track_dirty_pages()) GTEST_SKIP() << kNoDirtyTracking;
  ioas::TrackingTables tables = {};
  ioas::kernel::DirtyTracking tracking(iommufd_, ioas_, tables);
  ASSERT_TRUE(tracking.Attach(cdev_, device_).ok());
  const Memory memory(4 * kPage);
  ASSERT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory.address(), 4 * kPage, kReadWrite).ok());
  ASSERT_TRUE(tracking.Start().ok());
  uint64_t word = 0;
  EXPECT_TRUE(tracking
                  .ReadAndClear({.iova = 0x10000,
                                 .length = 4 * kPage,
                                 .page_size = kPage,
                                 .bitmap = reinterpret_cast<uint64_t>(&word)})
                  .ok());
  EXPECT_EQ(word, 0u) << "the device has done nothing";
  tracking.Stop();
}

}  // namespace
}  // namespace tests
