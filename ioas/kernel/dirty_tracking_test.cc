#include "ioas/kernel/dirty_tracking.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/kernel/scripted_system_calls.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi;
namespace iommu = compat::abi::iommufd;

constexpr uint32_t kIoas = 1;
constexpr uint32_t kDevice = 2;
constexpr uint32_t kAutomaticTable = 3;

// A kernel with one device at a time, and page tables from 10 on.
class DirtyTrackingTest : public ::testing::Test {
 protected:
  DirtyTrackingTest() {
    calls_.OnIoctl<iommu::HwInfo>(iommu::kGetHwInfo, [this](iommu::HwInfo& call) {
      EXPECT_EQ(call.dev_id, kDevice);
      call.out_capabilities = hardware_tracks_ ? iommu::kHwCapDirtyTracking : 0;
      return 0;
    });
    calls_.OnIoctl<iommu::HwptAlloc>(iommu::kHwptAlloc, [this](iommu::HwptAlloc& call) {
      EXPECT_EQ(call.flags, iommu::kHwptAllocDirtyTracking);
      EXPECT_EQ(call.dev_id, kDevice);
      EXPECT_EQ(call.pt_id, kIoas);
      call.out_hwpt_id = next_table_++;
      tables_made_.insert(call.out_hwpt_id);
      return 0;
    });
    calls_.OnIoctl<iommu::Destroy>(iommu::kDestroy, [this](const iommu::Destroy& call) {
      if (in_use_.count(call.id) != 0) return -EBUSY;
      return tables_made_.erase(call.id) == 1 ? 0 : -ENOENT;
    });
    calls_.OnIoctl<abi::DeviceAttachIommufdPt>(abi::kDeviceAttachIommufdPt,
                                               [this](abi::DeviceAttachIommufdPt& call) {
                                                 if (refusals_.count(call.pt_id) != 0)
                                                   return -refusals_[call.pt_id];
                                                 if (call.pt_id == kIoas)
                                                   call.pt_id = kAutomaticTable;
                                                 in_use_.insert(call.pt_id);
                                                 return 0;
                                               });
    calls_.OnIoctl<iommu::HwptSetDirtyTracking>(iommu::kHwptSetDirtyTracking,
                                                [this](const iommu::HwptSetDirtyTracking& call) {
                                                  if (call.flags == 0) {
                                                    tracking_.erase(call.hwpt_id);
                                                  } else if (refusals_.count(call.hwpt_id) != 0) {
                                                    return -refusals_[call.hwpt_id];
                                                  } else {
                                                    tracking_.insert(call.hwpt_id);
                                                  }
                                                  return 0;
                                                });
  }

  // Makes one more device come, which cannot use the page tables that are there.
  void AttachWithTableOfItsOwn() {
    for (const uint32_t table : tables_made_) refusals_[table] = EINVAL;
    EXPECT_TRUE(tracking().Attach(cdev_, kDevice).ok());
    refusals_.clear();
  }

  DirtyTracking tracking() { return DirtyTracking(iommufd_, kIoas, tables_); }

  ScriptedSystemCalls calls_;
  Iommufd iommufd_{calls_, 5};
  Cdev cdev_{calls_, 6};
  TrackingTables tables_ = {};

  bool hardware_tracks_ = true;
  uint32_t next_table_ = 10;
  std::set<uint32_t> tables_made_;
  std::set<uint32_t> in_use_;
  std::set<uint32_t> tracking_;
  std::map<uint32_t, int> refusals_;
};

TEST_F(DirtyTrackingTest, HardwareThatCannotTrackGetsTheIoasItself) {
  hardware_tracks_ = false;
  EXPECT_EQ(*tracking().Attach(cdev_, kDevice), kAutomaticTable);
  EXPECT_FALSE(tracking().IsAvailable());
}

TEST_F(DirtyTrackingTest, KernelsThatCannotSayGetTheIoasItself) {
  calls_.OnIoctl<iommu::HwInfo>(iommu::kGetHwInfo, [](iommu::HwInfo&) { return -ENOTTY; });
  EXPECT_EQ(*tracking().Attach(cdev_, kDevice), kAutomaticTable);
}

TEST_F(DirtyTrackingTest, HardwareThatTracksGetsATableForIt) {
  EXPECT_FALSE(tracking().IsAvailable());
  EXPECT_EQ(*tracking().Attach(cdev_, kDevice), 10u);
  EXPECT_TRUE(tracking().IsAvailable());
}

TEST_F(DirtyTrackingTest, DevicesShareATableWhereTheyCan) {
  EXPECT_EQ(*tracking().Attach(cdev_, kDevice), 10u);
  EXPECT_EQ(*tracking().Attach(cdev_, kDevice), 10u);
  EXPECT_EQ(tables_.count, 1u);
}

TEST_F(DirtyTrackingTest, ADeviceThatCannotUseATableGetsAnother) {
  EXPECT_EQ(*tracking().Attach(cdev_, kDevice), 10u);
  refusals_[10] = EINVAL;
  EXPECT_EQ(*tracking().Attach(cdev_, kDevice), 11u);
  EXPECT_EQ(*tracking().Attach(cdev_, kDevice), 11u);
}

TEST_F(DirtyTrackingTest, AnyOtherRefusalIsTheAnswer) {
  EXPECT_TRUE(tracking().Attach(cdev_, kDevice).ok());
  refusals_[10] = ENOMEM;
  EXPECT_EQ(tracking().Attach(cdev_, kDevice).error().code, ENOMEM);
  EXPECT_EQ(tables_.count, 1u);
}

TEST_F(DirtyTrackingTest, ATableThatCannotBeAttachedIsNotLeftBehind) {
  refusals_[10] = EADDRINUSE;
  EXPECT_EQ(tracking().Attach(cdev_, kDevice).error().code, EADDRINUSE);
  EXPECT_TRUE(tables_made_.empty());
  EXPECT_EQ(tables_.count, 0u);
}

TEST_F(DirtyTrackingTest, MoreTablesThanThereIsRoomForAreRefused) {
  for (uint32_t i = 0; i < TrackingTables::kMax; ++i) AttachWithTableOfItsOwn();
  for (const uint32_t table : tables_made_) refusals_[table] = EINVAL;
  EXPECT_EQ(tracking().Attach(cdev_, kDevice).error().code, ENOSPC);
  EXPECT_EQ(tables_made_.size(), size_t{TrackingTables::kMax});
}

TEST_F(DirtyTrackingTest, ADeviceWithoutARecordTakesItAway) {
  EXPECT_TRUE(tracking().Attach(cdev_, kDevice).ok());
  hardware_tracks_ = false;
  EXPECT_TRUE(tracking().Attach(cdev_, kDevice).ok());
  EXPECT_FALSE(tracking().IsAvailable());
}

TEST_F(DirtyTrackingTest, UnusedTablesAreDestroyed) {
  for (int i = 0; i < 3; ++i) AttachWithTableOfItsOwn();
  in_use_ = {11};
  tracking().DestroyUnused();
  EXPECT_EQ(tables_made_, std::set<uint32_t>{11});
  ASSERT_EQ(tables_.count, 1u);
  EXPECT_EQ(tables_.hwpts[0], 11u);
}

TEST_F(DirtyTrackingTest, AllTablesTrackOrNone) {
  for (int i = 0; i < 3; ++i) AttachWithTableOfItsOwn();
  EXPECT_TRUE(tracking().Start().ok());
  EXPECT_EQ(tracking_, (std::set<uint32_t>{10, 11, 12}));
  tracking().Stop();
  EXPECT_TRUE(tracking_.empty());
  refusals_[12] = ENOMEM;
  EXPECT_EQ(tracking().Start().error().code, ENOMEM);
  EXPECT_TRUE(tracking_.empty());
}

TEST_F(DirtyTrackingTest, PagesOfAllTablesAreRead) {
  for (int i = 0; i < 2; ++i) AttachWithTableOfItsOwn();
  uint64_t bitmap = 0;
  calls_.OnIoctl<iommu::HwptGetDirtyBitmap>(
      iommu::kHwptGetDirtyBitmap, [](const iommu::HwptGetDirtyBitmap& call) {
        EXPECT_EQ(call.flags, 0u);
        *reinterpret_cast<uint64_t*>(call.data) |= uint64_t{1} << call.hwpt_id;
        return 0;
      });
  const DirtyRange range = {.iova = 0,
                            .length = 64 * 4096,
                            .page_size = 4096,
                            .bitmap = reinterpret_cast<uint64_t>(&bitmap)};
  EXPECT_TRUE(tracking().ReadAndClear(range).ok());
  EXPECT_EQ(bitmap, uint64_t{1} << 10 | uint64_t{1} << 11);
  calls_.OnIoctl<iommu::HwptGetDirtyBitmap>(iommu::kHwptGetDirtyBitmap,
                                            [](iommu::HwptGetDirtyBitmap&) { return -EINVAL; });
  EXPECT_EQ(tracking().ReadAndClear(range).error().code, EINVAL);
}

}  // namespace
}  // namespace ioas::kernel
