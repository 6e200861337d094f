#include "compat/kernel/bar_memory.h"

#include <gtest/gtest.h>

namespace compat::kernel {
namespace {

constexpr char kLine[] =
    "7f3e240e2000-7f3e240e6000 rw-s fe010000 00:05 133                        "
    "/dev/vfio/devices/vfio3";

TEST(BarMemoryTest, MappingOfACdevIsFound) {
  const auto memory = ParseMapsLine(kLine, 0x7f3e240e3000, 0x3000);
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(memory->cdev, 3u);
  EXPECT_EQ(memory->offset, 0xfe011000u);
}

TEST(BarMemoryTest, RangeThatIsNotAllInsideIsNotFound) {
  EXPECT_FALSE(ParseMapsLine(kLine, 0x7f3e240e3000, 0x4000).has_value());
  EXPECT_FALSE(ParseMapsLine(kLine, 0x7f3e240e1000, 0x2000).has_value());
  EXPECT_FALSE(ParseMapsLine(kLine, 0x7f3e240e6000, 0x1000).has_value());
}

TEST(BarMemoryTest, OtherMappingsAreNotFound) {
  for (const char* const line :
       {"7f3e240e2000-7f3e240e6000 rw-p 00000000 00:00 0", "",
        "7f3e240e2000-7f3e240e6000 rw-s 00000000 00:05 1  /dev/vfio/devices/vfio",
        "7f3e240e2000-7f3e240e6000 rw-s 00000000 00:05 1  /dev/vfio/devices/vfio3 (deleted)"}) {
    EXPECT_FALSE(ParseMapsLine(line, 0x7f3e240e2000, 0x1000).has_value()) << line;
  }
}

constexpr char kResource[] =
    "0x00000000fe010000 0x00000000fe013fff 0x0000000000140204\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x000000c000000000 0x000000c0ffffffff 0x000000000014220c\n";

TEST(BarMemoryTest, BarIsTheOneThatTheOffsetNames) {
  const auto first = FindBar(kResource, 0x1000, 0x3000);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->region, 0u);
  EXPECT_EQ(first->offset, 0x1000u);
  const auto third = FindBar(kResource, (uint64_t{2} << 40) + 0xfe011000, 0x1000);
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->region, 2u);
  EXPECT_EQ(third->offset, 0xfe011000u);
  EXPECT_FALSE(FindBar(kResource, 0x1000, 0x4000).has_value());
  EXPECT_FALSE(FindBar(kResource, uint64_t{1} << 40, 0x1000).has_value()) << "there is none";
  EXPECT_FALSE(FindBar(kResource, uint64_t{7} << 40, 0x1000).has_value());
}

TEST(BarMemoryTest, BarIsTheOneThatHoldsTheAddress) {
  const auto first = FindBar(kResource, 0xfe011000, 0x3000);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->region, 0u);
  EXPECT_EQ(first->offset, 0x1000u);
  const auto third = FindBar(kResource, 0xc000000000, 0x100000000);
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->region, 2u);
  EXPECT_FALSE(FindBar(kResource, 0xfe011000, 0x4000).has_value());
  EXPECT_FALSE(FindBar(kResource, 0xfe020000, 0x1000).has_value());
  EXPECT_FALSE(FindBar("", 0xfe010000, 0x1000).has_value());
}

}  // namespace
}  // namespace compat::kernel
