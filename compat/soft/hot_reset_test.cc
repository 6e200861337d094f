// Hot reset: which devices it is about, and who may do it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <vector>

#include "compat/soft/device_fixture.h"

namespace compat::soft {
namespace {

constexpr uint64_t kQueueSizes = 0x24;  // a register of the drives that a reset clears

class HotResetTest : public DeviceFixture {
 protected:
  struct Info {
    abi::PciHotResetInfo header;
    abi::PciDependentDevice devices[4];
  };

  long GetInfo(int device, uint32_t room, Info& info) {
    info = {};
    info.header.argsz = static_cast<uint32_t>(sizeof(info.header) + room * sizeof(info.devices[0]));
    info.header.flags = 0xff;
    return host_.Ioctl(device, abi::kDeviceGetPciHotResetInfo, &info);
  }
  long Reset(int device, const std::vector<int32_t>& groups) {
    const auto bytes = std::as_bytes(std::span(groups));
    const abi::PciHotReset header = {.argsz = static_cast<uint32_t>(sizeof(header) + bytes.size()),
                                     .flags = 0,
                                     .count = static_cast<uint32_t>(groups.size())};
    const auto head = std::as_bytes(std::span(&header, 1));
    std::vector<std::byte> buffer(head.begin(), head.end());
    buffer.insert(buffer.end(), bytes.begin(), bytes.end());
    return host_.Ioctl(device, abi::kDevicePciHotReset, buffer.data());
  }
};

TEST_F(HotResetTest, InfoNamesTheDevicesOfTheBus) {
  Info info;
  for (const uint32_t room : {0, 1}) {
    EXPECT_EQ(GetInfo(device_, room, info), -ENOSPC);
    EXPECT_EQ(info.header.count, 2u);
    EXPECT_EQ(info.header.flags, 0u);
    EXPECT_EQ(info.devices[0].group_id, 0u);
  }
  ASSERT_EQ(GetInfo(device_, 2, info), 0);
  EXPECT_EQ(info.header.count, 2u);
  EXPECT_EQ(info.header.flags, 0u);
  EXPECT_EQ(info.devices[0].group_id, TestHost::kGroup);
  EXPECT_EQ(info.devices[0].segment, 0);
  EXPECT_EQ(info.devices[0].bus, 0);
  EXPECT_EQ(info.devices[0].devfn, 5 << 3);
  EXPECT_EQ(info.devices[1].group_id, TestHost::kOtherGroup);
  EXPECT_EQ(info.devices[1].devfn, 6 << 3);
  EXPECT_EQ(info.devices[2].group_id, 0u);
}

TEST_F(HotResetTest, DeviceOnABusOfItsOwnIsResetAlone) {
  const int group = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(host_.Ioctl(group, abi::kGroupSetContainer, &container_), 0);
  const int far = host_.OpenDevice(group, TestHost::kFarDevice);
  ASSERT_GE(far, 0);
  Info info;
  ASSERT_EQ(GetInfo(far, 4, info), 0);
  EXPECT_EQ(info.header.count, 1u);
  EXPECT_EQ(info.devices[0].bus, 1);
  EXPECT_EQ(Reset(far, {group_}), -EINVAL);
  EXPECT_EQ(Reset(far, {group}), 0);
}

TEST_F(HotResetTest, InfoChecksItsArgument) {
  abi::PciHotResetInfo small = {.argsz = sizeof(small) - 1, .flags = 0, .count = 0};
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceGetPciHotResetInfo, &small), -EINVAL);
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceGetPciHotResetInfo, uint64_t{0}), -EFAULT);
}

TEST_F(HotResetTest, ArgumentIsChecked) {
  abi::PciHotReset reset = {.argsz = sizeof(reset) - 1, .flags = 0, .count = 1};
  EXPECT_EQ(host_.Ioctl(device_, abi::kDevicePciHotReset, &reset), -EINVAL);
  reset = {.argsz = sizeof(reset), .flags = 1, .count = 1};
  EXPECT_EQ(host_.Ioctl(device_, abi::kDevicePciHotReset, &reset), -EINVAL);
  EXPECT_EQ(Reset(device_, {}), -EINVAL);
  EXPECT_EQ(Reset(device_, {group_, group_, group_}), -EINVAL);
  EXPECT_EQ(Reset(device_, {-1}), -EBADF);
  EXPECT_EQ(Reset(device_, {container_, -1}), -EINVAL);
  EXPECT_EQ(Reset(device_, {group_, 9999}), -EBADF);
  EXPECT_EQ(Reset(device_, {group_, device_}), -EINVAL);
}

TEST_F(HotResetTest, AllAffectedGroupsMustBeNamed) {
  EXPECT_EQ(Reset(device_, {group_}), -EINVAL);
  EXPECT_EQ(Reset(device_, {group_, group_}), -EINVAL);
  const int other = host_.OpenGroup(TestHost::kOtherGroup);
  WriteBar<uint32_t>(kQueueSizes, 0x001f001f);
  EXPECT_EQ(Reset(device_, {other}), -EINVAL);
  EXPECT_EQ(ReadBar<uint32_t>(kQueueSizes), 0x001f001fu);
  WriteConfig<uint8_t>(0x3c, 0x5a);
  EXPECT_EQ(Reset(device_, {other, group_}), 0);
  EXPECT_EQ(ReadBar<uint32_t>(kQueueSizes), 0u);
  EXPECT_EQ(ReadConfig<uint8_t>(0x3c), 0x5a);
}

TEST_F(HotResetTest, AllDevicesOfTheBusAreReset) {
  const int group = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(host_.Ioctl(group, abi::kGroupSetContainer, &container_), 0);
  const int other = host_.OpenDevice(group, TestHost::kOtherDevice);
  const int far = host_.OpenDevice(group, TestHost::kFarDevice);
  const uint32_t sizes = 0x001f001f;
  for (const int device : {other, far}) {
    ASSERT_EQ(host_.Write(device, &sizes, sizeof(sizes), kQueueSizes), 4);
  }
  ASSERT_EQ(Reset(device_, {group_, group}), 0);
  uint32_t value = 1;
  ASSERT_EQ(host_.Read(other, &value, sizeof(value), kQueueSizes), 4);
  EXPECT_EQ(value, 0u);
  ASSERT_EQ(host_.Read(far, &value, sizeof(value), kQueueSizes), 4);
  EXPECT_EQ(value, sizes);
}

}  // namespace
}  // namespace compat::soft
