#include "compat/soft/device_name.h"

#include <gtest/gtest.h>

namespace compat::soft {
namespace {

constexpr ioas::soft::PciAddress kAddress = {.domain = 0, .bus = 0xab, .device = 5, .function = 1};

// 1, 0, or a negated errno, as vfio_pci_core_match returns.
int Match(std::string_view name) {
  const auto match = MatchDeviceName(name, kAddress);
  return match.ok() ? *match : -match.error().code;
}

TEST(DeviceNameTest, AddressMatchesAloneOrBeforeSpaces) {
  EXPECT_EQ(Match("0000:ab:05.1"), 1);
  EXPECT_EQ(Match("0000:ab:05.1  "), 1);
  EXPECT_EQ(Match("0000:ab:05.10"), 0);
  EXPECT_EQ(Match("0000:ab:05.0"), 0);
  EXPECT_EQ(Match("0000:ab:05"), 0);
  EXPECT_EQ(Match(""), 0);
}

TEST(DeviceNameTest, TokenIsRefusedByADeviceWithoutVirtualFunctions) {
  EXPECT_EQ(Match("0000:ab:05.1 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3"), -EINVAL);
  EXPECT_EQ(Match("0000:ab:05.1 vf_token=bd8d9d2b"), -EINVAL);
  EXPECT_EQ(Match("0000:ab:05.1 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1fg"), -EINVAL);
  EXPECT_EQ(Match("0000:ab:05.1 other=1"), -EINVAL);
  // Another device's options are not looked at.
  EXPECT_EQ(Match("0000:ab:06.1 other=1"), 0);
}

TEST(DeviceNameTest, AddressIsWrittenAsTheKernelDoes) {
  char buffer[kPciAddressLength];
  EXPECT_EQ(FormatPciAddress(kAddress, buffer), "0000:ab:05.1");
  EXPECT_EQ(FormatPciAddress({.domain = 0xabcd, .bus = 0, .device = 31, .function = 7}, buffer),
            "abcd:00:1f.7");
}

}  // namespace
}  // namespace compat::soft
