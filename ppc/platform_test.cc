#include "ppc/platform.h"

#include <gtest/gtest.h>

namespace ppc {
namespace {

using compat::settings::PowerPlatform;

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr uint64_t kSecond = uint64_t{1} << 59;

const PlatformProfile kPowerNv = ProfileOf(PowerPlatform::kPowerNv, std::nullopt);
const PlatformProfile kPSeries = ProfileOf(PowerPlatform::kPSeries, std::nullopt);

WindowRequest Second(uint32_t page_shift, uint64_t size, uint32_t levels) {
  return {.number = 1,
          .other = OtherWindow::kDefault,
          .page_shift = page_shift,
          .size = size,
          .levels = levels};
}

int ErrorOf(const PlatformProfile& profile, const WindowRequest& request) {
  if (TableBytes(profile, request) == 0) return EINVAL;
  return PlanWindow(profile, request).error().code;
}

// What the POWER kernel that the recordings are from answered.
TEST(PowerNvTest, CreatesTheWindowsThatTheKernelCreates) {
  const struct {
    WindowRequest request;
    int error;
  } cases[] = {
      {Second(12, 64 * kGiB, 1), ENOMEM}, {Second(12, 16 * kGiB, 1), ENOMEM},
      {Second(12, 8 * kGiB, 1), 0},       {Second(12, kTiB, 1), ENOMEM},
      {Second(12, kTiB, 2), 0},           {Second(12, kTiB, 4), 0},
      {Second(12, kTiB, 5), EINVAL},      {Second(16, 64 * kGiB, 4), 0},
      {Second(16, 64 * kGiB, 5), EINVAL}, {Second(16, 64 * kGiB, 0), EINVAL},
      {Second(16, 64 * kGiB, 6), EINVAL}, {Second(16, 3 * kGiB, 1), EINVAL},
      {Second(16, 4096, 1), EINVAL},      {Second(16, 32768, 1), 0},
      {Second(12, 0, 1), EINVAL},         {Second(30, kGiB, 1), 0},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(ErrorOf(kPowerNv, each.request), each.error)
        << each.request.page_shift << ' ' << each.request.size << ' ' << each.request.levels;
  }
}

TEST(PowerNvTest, TableHasAtLeastAPageOfEntries) {
  EXPECT_EQ(PlanWindow(kPowerNv, Second(12, 4096, 1))->pages, 512u);
  EXPECT_EQ(PlanWindow(kPowerNv, Second(16, 32768, 1))->pages, 512u);
  EXPECT_EQ(PlanWindow(kPowerNv, Second(12, 4 << 20, 1))->pages, 1024u);
}

TEST(PowerNvTest, FirstWindowStartsAtZeroAndTheSecondWhereTheSettingsSay) {
  WindowRequest request = Second(16, kGiB, 1);
  EXPECT_EQ(PlanWindow(kPowerNv, request)->start, kSecond);
  const PlatformProfile moved = ProfileOf(PowerPlatform::kPowerNv, 4 * kGiB);
  EXPECT_EQ(PlanWindow(moved, request)->start, 4 * kGiB);
  request.number = 0;
  EXPECT_EQ(PlanWindow(moved, request)->start, 0u);
}

TEST(PowerNvTest, TableCountsTwiceWithAllItsLevels) {
  EXPECT_EQ(TableBytes(kPowerNv, Second(12, 2 * kGiB, 1)), 2 * (uint64_t{4} << 20));
  // 2^24 entries: 128 MiB at the bottom, and one level of 2^12 entries above.
  EXPECT_EQ(TableBytes(kPowerNv, Second(12, 64 * kGiB, 2)), 2 * ((128 << 20) + 32768));
}

TEST(PSeriesTest, DefaultWindowIsThereWithoutTheDynamicOneOnly) {
  WindowRequest request = {
      .number = 0, .other = OtherWindow::kNone, .page_shift = 12, .size = kGiB, .levels = 1};
  EXPECT_EQ(PlanWindow(kPSeries, request)->start, 0u);
  EXPECT_EQ(PlanWindow(kPSeries, request)->pages, kGiB >> 12);
  request.other = OtherWindow::kDynamic;
  EXPECT_EQ(ErrorOf(kPSeries, request), EPERM);
}

TEST(PSeriesTest, ThereIsOneDynamicWindowBesideTheDefaultOneOrInItsPlace) {
  WindowRequest request = Second(16, 64 * kGiB, 1);
  EXPECT_EQ(PlanWindow(kPSeries, request)->start, kSecond);
  request.other = OtherWindow::kDynamic;
  EXPECT_EQ(ErrorOf(kPSeries, request), ENODEV);
  request = {.number = 0, .other = OtherWindow::kNone, .page_shift = 16, .size = kGiB, .levels = 0};
  EXPECT_EQ(PlanWindow(kPSeries, request)->start, kSecond);
}

TEST(PSeriesTest, TablesHaveOneLevelAndWholePages) {
  EXPECT_EQ(ErrorOf(kPSeries, Second(16, kGiB, 2)), EINVAL);
  EXPECT_EQ(ErrorOf(kPSeries, Second(16, 3 * kGiB, 1)), EINVAL);
  EXPECT_EQ(ErrorOf(kPSeries, Second(16, 32768, 1)), EINVAL);
  EXPECT_EQ(ErrorOf(kPSeries, Second(16, 0, 1)), EINVAL);
  EXPECT_EQ(TableBytes(kPSeries, Second(16, kGiB, 1)), (kGiB >> 16) * 8);
}

}  // namespace
}  // namespace ppc
