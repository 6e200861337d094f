#include "tools/cli/doctor_windows.h"

#include <gtest/gtest.h>

namespace tools::cli {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kPlanned = uint64_t{1} << 59;

TEST(DoctorWindowsTest, WindowsInTheirPlacesNeedNoRemedy) {
  const Check check = DescribeWindows("soft",
                                      {.default_size = 2 * kGiB,
                                       .largest_size = uint64_t{1} << 54,
                                       .largest_start = kPlanned,
                                       .planned_start = kPlanned},
                                      "");
  EXPECT_EQ(check.name, "SPAPR windows, soft");
  EXPECT_EQ(check.status, CheckStatus::kOk);
  EXPECT_EQ(check.finding, "2 GiB at 0, up to 16 PiB at 0x800000000000000 beside it");
  EXPECT_EQ(check.remedy, "");
}

TEST(DoctorWindowsTest, AWindowElsewhereIsForTheSettingsToName) {
  const Check check = DescribeWindows("kernel",
                                      {.default_size = 2 * kGiB,
                                       .largest_size = 256 * kGiB,
                                       .largest_start = 256 * kGiB,
                                       .planned_start = kPlanned},
                                      "0000:00:03.0");
  EXPECT_EQ(check.status, CheckStatus::kOk);
  EXPECT_EQ(check.finding,
            "2 GiB at 0, up to 256 GiB at 0x4000000000 beside it, in reach of 0000:00:03.0");
  EXPECT_EQ(check.remedy.find("--tce64-start=0x4000000000 "), 0u) << check.remedy;
}

TEST(DoctorWindowsTest, AWindowThatCannotBeIsAWarning) {
  Check check = DescribeWindows(
      "kernel",
      {.default_size = 2 * kGiB, .largest_size = 0, .largest_start = 0, .planned_start = kPlanned},
      "");
  EXPECT_EQ(check.status, CheckStatus::kWarning);
  EXPECT_EQ(check.finding, "2 GiB at 0, none beside it");
  EXPECT_EQ(check.remedy, "");
  check = DescribeWindows("kernel",
                          {.default_size = 0,
                           .largest_size = kGiB << 2,
                           .largest_start = kGiB << 2,
                           .planned_start = kPlanned},
                          "");
  EXPECT_EQ(check.status, CheckStatus::kWarning);
  EXPECT_EQ(check.finding, "none at 0, up to 4 GiB at 0x100000000 beside it");
}

}  // namespace
}  // namespace tools::cli
