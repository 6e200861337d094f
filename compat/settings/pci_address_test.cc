#include "compat/settings/pci_address.h"

#include <gtest/gtest.h>

namespace compat::settings {
namespace {

TEST(PciAddressTest, ReadsAndPrintsTheKernelsForm) {
  const Parsed<PciAddress> address = ParsePciAddress("0001:fe:1f.7");
  ASSERT_TRUE(address.ok()) << address.message();
  EXPECT_EQ(*address, (PciAddress{1, 0xfe, 0x1f, 7}));
  EXPECT_EQ(address->ToString(), "0001:fe:1f.7");
}

TEST(PciAddressTest, TakesDomainZeroWhereNoneIsGiven) {
  EXPECT_EQ(ParsePciAddress("00:05.0")->ToString(), "0000:00:05.0");
}

TEST(PciAddressTest, RefusesWhatIsNoAddressAndNamesIt) {
  for (const char* text :
       {"", "0000:00:05", "0000:00:20.0", "0000:00:05.8", "0000:100:05.0", "x:00:05.0", ":00:05.0",
        "0000:00:05.0 ", "05.0", "0000::05.0", "1:0000:00:05.0", "10000:00:05.0"}) {
    const Parsed<PciAddress> address = ParsePciAddress(text);
    EXPECT_FALSE(address.ok()) << text;
    EXPECT_NE(address.message().find(text), std::string::npos);
  }
}

}  // namespace
}  // namespace compat::settings
