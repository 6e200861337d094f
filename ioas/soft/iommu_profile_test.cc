#include "ioas/soft/iommu_profile.h"

#include <gtest/gtest.h>

#include <vector>

namespace ioas::soft {
namespace {

std::vector<IovaRange> Apertures(IommuProfileSet profiles) {
  const auto apertures = PropertiesOf(profiles).apertures;
  return {apertures.begin(), apertures.end()};
}

constexpr IommuProfileSet kX86 = SetOf(IommuProfile::kX86);
constexpr IommuProfileSet kPower = SetOf(IommuProfile::kPower);
constexpr IommuProfileSet kSignExtended = SetOf(IommuProfile::kSignExtended);
constexpr IommuProfileSet kAuto = SetOf(IommuProfile::kAuto);

TEST(IommuProfileTest, EachHasItsApertures) {
  EXPECT_EQ(Apertures(kX86), (std::vector<IovaRange>{{0, 0x7fffffffff}}));
  EXPECT_EQ(Apertures(kPower),
            (std::vector<IovaRange>{{0, 0x7fffffff}, {0x800000000000000, 0x87fffffffffffff}}));
  EXPECT_EQ(
      Apertures(kSignExtended),
      (std::vector<IovaRange>{{0, 0x7fffffffffff}, {0xffff800000000000, 0xffffffffffffefff}}));
}

TEST(IommuProfileTest, OnlyX86KeepsARangeForInterrupts) {
  ASSERT_EQ(PropertiesOf(kX86).reserved.size(), 1u);
  EXPECT_EQ(PropertiesOf(kX86).reserved[0], (IovaRange{0xfee00000, 0xfeefffff}));
  EXPECT_TRUE(PropertiesOf(kPower | kSignExtended).reserved.empty());
  EXPECT_EQ(PropertiesOf(kPower | kX86).reserved.size(), 1u);
}

TEST(IommuProfileTest, DevicesTogetherHaveWhatAllHave) {
  EXPECT_EQ(Apertures(kX86 | kPower), (std::vector<IovaRange>{{0, 0x7fffffff}}));
  EXPECT_EQ(Apertures(kX86 | kSignExtended), Apertures(kX86));
  EXPECT_EQ(Apertures(kPower | kSignExtended), (std::vector<IovaRange>{{0, 0x7fffffff}}));
  EXPECT_EQ(PropertiesOf(kX86 | kPower).page_sizes, PropertiesOf(kX86).page_sizes);
}

TEST(IommuProfileTest, OnlyOneOfWhichNothingIsSaidHasWindowsAnywhere) {
  EXPECT_TRUE(PropertiesOf(kAuto).has_windows_anywhere);
  EXPECT_EQ(Apertures(kAuto), Apertures(kX86));
  for (const IommuProfileSet each : {kX86, kPower, kSignExtended, kAuto | kX86}) {
    EXPECT_FALSE(PropertiesOf(each).has_windows_anywhere) << each;
  }
}

}  // namespace
}  // namespace ioas::soft
