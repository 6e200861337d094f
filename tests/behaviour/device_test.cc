// What a device has written, where it is moved to, and when it is cut off.
#include "tests/behaviour/fixture.h"

namespace tests {
namespace {

using DeviceTest = BehaviourTest;

TEST_P(DeviceTest, PagesThatTheDeviceWroteAreDirty) {
  constexpr uint64_t kSize = 4 * kPage;
  ASSERT_EQ(mode().Map(kIova, page(0), kSize), 0);
  ASSERT_EQ(mode().StartDirty(), answers().start_dirty);
  uint64_t bits = 0;
  if (answers().dirty == DirtyPages::kNotTold) {
    EXPECT_NE(mode().ReadDirty(kIova, kSize, bits), 0);
    return;
  }
  const bool is_exact = answers().dirty == DirtyPages::kWritten;
  ASSERT_EQ(mode().ReadDirty(kIova, kSize, bits), 0);
  EXPECT_EQ(bits, is_exact ? 0 : 0xf);
  EXPECT_TRUE(DeviceWrites(kIova + 2 * kPage, page(2)));
  EXPECT_TRUE(DeviceReads(kIova + kPage, page(1)));
  bits = 0;
  ASSERT_EQ(mode().ReadDirty(kIova, kSize, bits), 0);
  EXPECT_EQ(bits, is_exact ? 0x4 : 0xf);
  bits = 0;
  ASSERT_EQ(mode().ReadDirty(kIova, kSize, bits), 0);
  EXPECT_EQ(bits, is_exact ? 0 : 0xf);
}

TEST_P(DeviceTest, AnotherAddressSpaceTakesTheOnesPlace) {
  ASSERT_EQ(mode().Map(kIova, page(0), kPage), 0);
  ASSERT_TRUE(Reaches(kIova, page(0)));
  const auto fill = [this] {
    MapDriver();
    ASSERT_EQ(mode().Map(kIova, page(1), kPage), 0);
    ASSERT_EQ(mode().Map(kIova + kPage, page(2), kPage), 0);
  };
  ASSERT_EQ(mode().Replace(fill), answers().replace);
  if (answers().replace != 0) {
    EXPECT_TRUE(Reaches(kIova, page(0)));
    driver().Close();
    ASSERT_EQ(mode().Reopen(fill), 0);
    ASSERT_TRUE(driver().Start(mode().device()));
  }
  EXPECT_TRUE(Reaches(kIova, page(1)));
  EXPECT_FALSE(DeviceWrites(kIova, page(0)));
  EXPECT_TRUE(Reaches(kIova + kPage, page(2)));
}

// What a frozen device is told to do it does afterwards, or not at all.
TEST_P(DeviceTest, AFrozenDeviceReachesNothing) {
  ASSERT_EQ(mode().Map(kIova, page(0), kPage), 0);
  const uint64_t disk_page = PutOnDisk();
  ASSERT_EQ(mode().Freeze(), 0);
  driver().SubmitRead(disk_page, kIova);
  if (!answers().goes_on_after_thaw) {
    ASSERT_TRUE(driver().AwaitFailure());
  }
  // Had it not waited, the page that was mapped first would show it.
  ASSERT_EQ(mode().Unmap(kIova, kPage), (Unmapped{0, kPage}));
  ASSERT_EQ(mode().Map(kIova, page(1), kPage), 0);
  EXPECT_FALSE(driver().IsCompleted());
  ASSERT_EQ(mode().Thaw(), 0);
  if (answers().goes_on_after_thaw) {
    EXPECT_EQ(driver().AwaitCompletion(), 0);
    EXPECT_TRUE(IsFromDisk(page(1)));
  } else {
    ASSERT_TRUE(driver().Start(mode().device()));
  }
  EXPECT_FALSE(IsFromDisk(page(0)));
  EXPECT_TRUE(Reaches(kIova, page(1)));
}

INSTANTIATE_TEST_SUITE_P(Modes, DeviceTest, testing::ValuesIn(Modes()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tests
