#include "compat/vfio/device_name.h"

#include <gtest/gtest.h>

#include <string>

namespace compat::vfio {
namespace {

constexpr char kToken[] = "0000:ab:05.1 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3";

// 1, 0, or a negated errno, as vfio_pci_core_match returns.
int Match(std::string_view name, bool takes_token = false) {
  const auto match = MatchDeviceName(name, "0000:ab:05.1", takes_token);
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
  EXPECT_EQ(Match(kToken), -EINVAL);
  EXPECT_EQ(Match("0000:ab:05.1 vf_token=bd8d9d2b"), -EINVAL);
  EXPECT_EQ(Match("0000:ab:05.1 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1fg"), -EINVAL);
  EXPECT_EQ(Match("0000:ab:05.1 other=1"), -EINVAL);
  // Another device's options are not looked at.
  EXPECT_EQ(Match("0000:ab:06.1 other=1"), 0);
}

TEST(DeviceNameTest, TokenIsTakenByADeviceWithVirtualFunctions) {
  EXPECT_EQ(Match(kToken, true), 1);
  EXPECT_EQ(Match(std::string(kToken) + " " + kToken, true), -EINVAL);
  EXPECT_EQ(Match("0000:ab:05.1 vf_token=bd8d9d2b", true), -EINVAL);
}

}  // namespace
}  // namespace compat::vfio
