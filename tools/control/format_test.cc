#include "tools/control/format.h"

#include <gtest/gtest.h>

namespace tools::control {
namespace {

TEST(FormatTest, AddressesAreHexadecimal) {
  EXPECT_EQ(Hex(0), "0x0");
  EXPECT_EQ(HexRange(0xABC000, UINT64_MAX), "0xabc000-0xffffffffffffffff");
}

TEST(FormatTest, BytesHaveTheLargestUnitThatFits) {
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(1023), "1023 B");
  EXPECT_EQ(Bytes(4096), "4 KiB");
  EXPECT_EQ(Bytes(uint64_t{3} << 29), "1.5 GiB");
  EXPECT_EQ(Bytes(UINT64_MAX), "16.0 EiB");
}

TEST(FormatTest, CountsHaveCommas) {
  EXPECT_EQ(Count(0), "0");
  EXPECT_EQ(Count(999), "999");
  EXPECT_EQ(Count(1000), "1,000");
  EXPECT_EQ(Count(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(FormatTest, AgesHaveTwoUnits) {
  EXPECT_EQ(Age(-3), "0s");
  EXPECT_EQ(Age(59), "59s");
  EXPECT_EQ(Age(200), "3m20s");
  EXPECT_EQ(Age(7500), "2h05m");
  EXPECT_EQ(Age(4 * 86400 + 3 * 3600), "4d03h");
}

}  // namespace
}  // namespace tools::control
