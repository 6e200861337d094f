// What tests of a device's descriptor begin with: a device in a container of type 1 version 2.
#ifndef COMPAT_SOFT_DEVICE_FIXTURE_H_
#define COMPAT_SOFT_DEVICE_FIXTURE_H_

#include <gtest/gtest.h>

#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"
#include "compat/vfio/regions.h"

namespace compat::soft {

using vfio::RegionOffset;

class DeviceFixture : public testing::Test {
 protected:
  // BAR 0 of the drives: registers and doorbells, which can be mapped, the MSI-X table, the PBA.
  static constexpr uint64_t kMappable = 0x2000;
  static constexpr uint64_t kMsixTable = 0x2000;
  static constexpr uint64_t kBarSize = 0x4000;
  static constexpr uint64_t kConfig = RegionOffset(abi::kPciConfigRegionIndex);
  static constexpr uint64_t kConfigSize = 4096;

  void SetUp() override {
    container_ = host_.ContainerOfType(abi::kType1v2Iommu, group_);
    device_ = host_.OpenDevice(group_, TestHost::kDevice);
    ASSERT_GE(device_, 0);
  }

  template <typename T>
  T ReadConfig(uint64_t offset) {
    T value{};
    EXPECT_EQ(host_.Read(device_, &value, sizeof(value), kConfig + offset),
              static_cast<long>(sizeof(value)));
    return value;
  }
  template <typename T>
  void WriteConfig(uint64_t offset, T value) {
    EXPECT_EQ(host_.Write(device_, &value, sizeof(value), kConfig + offset),
              static_cast<long>(sizeof(value)));
  }
  template <typename T>
  T ReadBar(uint64_t offset) {
    T value{};
    EXPECT_EQ(host_.Read(device_, &value, sizeof(value), offset), static_cast<long>(sizeof(value)));
    return value;
  }
  template <typename T>
  void WriteBar(uint64_t offset, T value) {
    EXPECT_EQ(host_.Write(device_, &value, sizeof(value), offset),
              static_cast<long>(sizeof(value)));
  }

  TestHost host_;
  int container_ = -1;
  int group_ = -1;
  int device_ = -1;
};

}  // namespace compat::soft

#endif  // COMPAT_SOFT_DEVICE_FIXTURE_H_
