#include "tools/cli/doctor_reach.h"

#include <gtest/gtest.h>

#include "tools/cli/doctor_command.h"

namespace tools::cli {
namespace {

constexpr ioas::IovaRange kApertures[] = {{0, 0xffff}, {0x20000, UINT64_MAX}};
constexpr ioas::IovaRange kReserved[] = {{0x8000, 0x8fff}};

TEST(DoctorReachTest, ReservedRangesAreNotReached) {
  const Reach reach =
      ReachOf("kernel", "0000:00:03.0",
              {.page_sizes = 0x201000, .apertures = kApertures, .reserved = kReserved});
  EXPECT_EQ(reach.ranges,
            (std::vector<ioas::IovaRange>{{0, 0x7fff}, {0x9000, 0xffff}, {0x20000, UINT64_MAX}}));
  const Check check = DescribeReach(reach);
  EXPECT_EQ(check.name, "IOVA ranges, kernel, 0000:00:03.0");
  EXPECT_EQ(check.status, CheckStatus::kOk);
  EXPECT_EQ(check.finding, "0x0-0x7fff, 0x9000-0xffff, 0x20000-0xffffffffffffffff");
}

TEST(DoctorReachTest, NoneIsAWarning) {
  const Check check =
      DescribeReach({.backend = "kernel", .whose = "x", .page_sizes = 4096, .ranges = {}});
  EXPECT_EQ(check.status, CheckStatus::kWarning);
  EXPECT_EQ(check.finding, "none");
}

TEST(DoctorReachTest, TheSoftwareHostsAreOneForEachSetting) {
  Diagnosis diagnosis;
  CheckSoftReach(diagnosis);
  ASSERT_EQ(diagnosis.checks.size(), 4u);
  EXPECT_EQ(diagnosis.checks[1].name, "IOVA ranges, soft, --iommu=x86");
  EXPECT_EQ(diagnosis.checks[1].finding, "0x0-0xfedfffff, 0xfef00000-0x7fffffffff");
  EXPECT_EQ(diagnosis.checks[0].finding, diagnosis.checks[1].finding);
  EXPECT_EQ(diagnosis.checks[2].finding, "0x0-0x7fffffff, 0x800000000000000-0x87fffffffffffff");
  EXPECT_EQ(diagnosis.checks[3].name, "IOVA ranges, soft, --iommu=sign-extended");
  EXPECT_NE(
      ToJson(diagnosis).find(
          R"({"backend": "soft", "whose": "--iommu=power", "page_sizes": "0x40211000", "ranges": [{"first": "0x0", "last": "0x7fffffff"}, {"first": "0x800000000000000", "last": "0x87fffffffffffff"}]})"),
      std::string::npos)
      << ToJson(diagnosis);
}

}  // namespace
}  // namespace tools::cli
