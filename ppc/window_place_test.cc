#include "ppc/window_place.h"

#include <gtest/gtest.h>

namespace ppc {
namespace {

using compat::settings::PowerPlatform;

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kPlanned = uint64_t{1} << 59;
constexpr uint64_t kPageSizes = 1 << 12;

const PlatformProfile kPowerNv = ProfileOf(PowerPlatform::kPowerNv, std::nullopt);

WindowSurvey SurveyOf(std::span<const ioas::IovaRange> apertures,
                      const PlatformProfile& platform = kPowerNv) {
  const auto survey =
      SurveyWindows(platform, {.page_sizes = kPageSizes, .apertures = apertures, .reserved = {}});
  EXPECT_TRUE(survey.ok());
  return *survey;
}

TEST(SurveyTest, IommuThatReachesEverywhereHasBothWindowsInTheirPlaces) {
  const ioas::IovaRange everything = {0, UINT64_MAX};
  const WindowSurvey survey = SurveyOf({&everything, 1});
  EXPECT_EQ(survey.default_size, 2 * kGiB);
  EXPECT_EQ(survey.planned_start, kPlanned);
  EXPECT_EQ(survey.largest_start, kPlanned);
  EXPECT_EQ(survey.largest_size, uint64_t{1} << 54);
  const PlatformProfile pseries = ProfileOf(PowerPlatform::kPSeries, std::nullopt);
  EXPECT_EQ(SurveyOf({&everything, 1}, pseries).largest_start, kPlanned);
}

TEST(SurveyTest, X86HasTheLargestWhereItsAddressesEnd) {
  const ioas::IovaRange apertures[] = {{0, 0xfedfffff}, {0xfef00000, (kGiB << 9) - 1}};
  WindowSurvey survey = SurveyOf(apertures);
  EXPECT_EQ(survey.default_size, 2 * kGiB);
  EXPECT_EQ(survey.planned_start, kPlanned);
  EXPECT_EQ(survey.largest_start, 256 * kGiB);
  EXPECT_EQ(survey.largest_size, 256 * kGiB);

  const PlatformProfile moved = ProfileOf(PowerPlatform::kPowerNv, 64 * kGiB);
  survey = SurveyOf(apertures, moved);
  EXPECT_EQ(survey.planned_start, 64 * kGiB);
  EXPECT_EQ(survey.largest_start, 64 * kGiB);
}

TEST(SurveyTest, SmallAperturesLackWindows) {
  const ioas::IovaRange low = {0, 2 * kGiB - 1};
  EXPECT_EQ(SurveyOf({&low, 1}).default_size, 2 * kGiB);
  EXPECT_EQ(SurveyOf({&low, 1}).largest_size, 0u);
  const ioas::IovaRange high = {4 * kGiB, 8 * kGiB - 1};
  EXPECT_EQ(SurveyOf({&high, 1}).default_size, 0u);
  EXPECT_EQ(SurveyOf({&high, 1}).largest_start, 4 * kGiB);
  EXPECT_EQ(SurveyOf({&high, 1}).largest_size, 4 * kGiB);
}

}  // namespace
}  // namespace ppc
