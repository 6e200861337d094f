// Calls on a device's descriptor, but for interrupts and hot reset.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <vector>

#include "compat/abi/vfio_feature.h"
#include "compat/soft/device_fixture.h"

namespace compat::soft {
namespace {

constexpr std::byte kUntouched{0xa5};

// A caller's buffer whose bytes beyond what a call may write show whether it did.
class Buffer {
 public:
  explicit Buffer(uint32_t argsz) {
    bytes_.fill(kUntouched);
    Set(0, argsz);
  }
  void Set(size_t offset, uint32_t value) { std::memcpy(&bytes_[offset], &value, sizeof(value)); }
  template <typename T>
  T Get(size_t offset = 0) const {
    T value;
    std::memcpy(&value, &bytes_[offset], sizeof(value));
    return value;
  }
  bool IsUntouchedFrom(size_t first) const {
    for (size_t i = first; i < bytes_.size(); ++i) {
      if (bytes_[i] != kUntouched) return false;
    }
    return true;
  }
  std::byte* data() { return bytes_.data(); }

 private:
  alignas(8) std::array<std::byte, 256> bytes_;
};

class DeviceTest : public DeviceFixture {
 protected:
  static constexpr uint32_t kRegionIndexAt = offsetof(abi::RegionInfo, index);

  abi::RegionInfo Region(uint32_t index) {
    abi::RegionInfo info = {};
    info.argsz = sizeof(info);
    info.index = index;
    EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceGetRegionInfo, &info), 0) << index;
    return info;
  }
  long Feature(uint32_t flags, uint32_t argsz = sizeof(abi::DeviceFeature)) {
    abi::DeviceFeature feature = {.argsz = argsz, .flags = flags};
    return host_.Ioctl(device_, abi::kDeviceFeature, &feature);
  }
};

TEST_F(DeviceTest, InfoIsCopiedAsFarAsArgszSays) {
  for (uint32_t argsz = 0; argsz <= sizeof(abi::DeviceInfo) + 16; ++argsz) {
    Buffer buffer(argsz);
    const long result = host_.Ioctl(device_, abi::kDeviceGetInfo, buffer.data());
    if (argsz < offsetof(abi::DeviceInfo, cap_offset)) {
      EXPECT_EQ(result, -EINVAL) << argsz;
      EXPECT_TRUE(buffer.IsUntouchedFrom(sizeof(argsz))) << argsz;
      continue;
    }
    EXPECT_EQ(result, 0) << argsz;
    const auto info = buffer.Get<abi::DeviceInfo>();
    EXPECT_EQ(info.argsz, argsz);
    EXPECT_EQ(info.flags, abi::kDeviceFlagsPci | abi::kDeviceFlagsReset);
    EXPECT_EQ(info.num_regions, abi::kPciNumRegions);
    EXPECT_EQ(info.num_irqs, abi::kPciNumIrqs);
    if (argsz >= sizeof(info)) {
      EXPECT_EQ(info.cap_offset, 0u);
    }
    EXPECT_TRUE(buffer.IsUntouchedFrom(std::min<size_t>(argsz, sizeof(info)))) << argsz;
  }
}

TEST_F(DeviceTest, RegionInfoIsCopiedInFull) {
  for (uint32_t argsz = 0; argsz <= sizeof(abi::RegionInfo) + 16; ++argsz) {
    Buffer buffer(argsz);
    buffer.Set(kRegionIndexAt, abi::kPciConfigRegionIndex);
    const long result = host_.Ioctl(device_, abi::kDeviceGetRegionInfo, buffer.data());
    if (argsz < sizeof(abi::RegionInfo)) {
      EXPECT_EQ(result, -EINVAL) << argsz;
      EXPECT_TRUE(buffer.IsUntouchedFrom(kRegionIndexAt + 4)) << argsz;
      continue;
    }
    EXPECT_EQ(result, 0) << argsz;
    const auto info = buffer.Get<abi::RegionInfo>();
    EXPECT_EQ(info.argsz, argsz);
    EXPECT_EQ(info.flags, abi::kRegionInfoFlagRead | abi::kRegionInfoFlagWrite);
    EXPECT_EQ(info.size, kConfigSize);
    EXPECT_EQ(info.offset, kConfig);
    // Without capabilities the caller's own value comes back.
    EXPECT_EQ(info.cap_offset, 0xa5a5a5a5u);
    EXPECT_TRUE(buffer.IsUntouchedFrom(sizeof(info))) << argsz;
  }
}

TEST_F(DeviceTest, RegionsAreThoseOfAPciDevice) {
  EXPECT_EQ(Region(abi::kPciBar0RegionIndex).size, kBarSize);
  for (uint32_t index = abi::kPciBar1RegionIndex; index <= abi::kPciRomRegionIndex; ++index) {
    const abi::RegionInfo info = Region(index);
    EXPECT_EQ(info.size, 0u) << index;
    EXPECT_EQ(info.flags, 0u) << index;
    EXPECT_EQ(info.offset, RegionOffset(index));
  }
  abi::RegionInfo info = {};
  info.argsz = sizeof(info);
  for (const uint32_t index : {abi::kPciVgaRegionIndex, abi::kPciNumRegions, ~0u}) {
    info.index = index;
    EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceGetRegionInfo, &info), -EINVAL) << index;
  }
}

TEST_F(DeviceTest, BarTellsWhatOfItCanBeMapped) {
  constexpr uint32_t kChain =
      sizeof(abi::RegionInfoCapSparseMmap) + sizeof(abi::RegionSparseMmapArea);
  constexpr uint32_t kFull = sizeof(abi::RegionInfo) + kChain;
  for (uint32_t argsz = sizeof(abi::RegionInfo); argsz <= kFull + 16; ++argsz) {
    Buffer buffer(argsz);
    buffer.Set(kRegionIndexAt, abi::kPciBar0RegionIndex);
    ASSERT_EQ(host_.Ioctl(device_, abi::kDeviceGetRegionInfo, buffer.data()), 0);
    const auto info = buffer.Get<abi::RegionInfo>();
    EXPECT_EQ(info.size, kBarSize);
    EXPECT_EQ(info.flags, abi::kRegionInfoFlagRead | abi::kRegionInfoFlagWrite |
                              abi::kRegionInfoFlagMmap | abi::kRegionInfoFlagCaps);
    if (argsz < kFull) {
      EXPECT_EQ(info.argsz, kFull);
      EXPECT_EQ(info.cap_offset, 0u);
      EXPECT_TRUE(buffer.IsUntouchedFrom(sizeof(info))) << argsz;
      continue;
    }
    EXPECT_EQ(info.argsz, argsz);
    ASSERT_EQ(info.cap_offset, sizeof(info));
    const auto capability = buffer.Get<abi::RegionInfoCapSparseMmap>(sizeof(info));
    EXPECT_EQ(capability.header.id, abi::kRegionInfoCapSparseMmap);
    EXPECT_EQ(capability.header.version, 1);
    EXPECT_EQ(capability.header.next, 0u);
    ASSERT_EQ(capability.nr_areas, 1u);
    const auto area = buffer.Get<abi::RegionSparseMmapArea>(sizeof(info) + sizeof(capability));
    EXPECT_EQ(area.offset, 0u);
    EXPECT_EQ(area.size, kMappable);
    EXPECT_TRUE(buffer.IsUntouchedFrom(kFull)) << argsz;
  }
}

TEST_F(DeviceTest, IrqInfoIsCopiedInFull) {
  for (uint32_t argsz = 0; argsz <= sizeof(abi::IrqInfo) + 16; ++argsz) {
    Buffer buffer(argsz);
    buffer.Set(offsetof(abi::IrqInfo, index), abi::kPciMsiIrqIndex);
    const long result = host_.Ioctl(device_, abi::kDeviceGetIrqInfo, buffer.data());
    EXPECT_EQ(result, argsz < sizeof(abi::IrqInfo) ? -EINVAL : 0) << argsz;
    EXPECT_TRUE(buffer.IsUntouchedFrom(sizeof(abi::IrqInfo))) << argsz;
  }
}

TEST_F(DeviceTest, InterruptIndexesAreThoseOfAPciExpressDevice) {
  constexpr struct {
    uint32_t flags;
    uint32_t count;
  } kWanted[] = {
      {abi::kIrqInfoEventfd | abi::kIrqInfoMaskable | abi::kIrqInfoAutomasked, 1},
      {abi::kIrqInfoEventfd | abi::kIrqInfoNoresize, 32},
      {abi::kIrqInfoEventfd, 65},
      {abi::kIrqInfoEventfd | abi::kIrqInfoNoresize, 1},
      {abi::kIrqInfoEventfd | abi::kIrqInfoNoresize, 1},
  };
  for (uint32_t index = 0; index < abi::kPciNumIrqs; ++index) {
    abi::IrqInfo info = {.argsz = sizeof(info), .flags = 0, .index = index, .count = 0};
    EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceGetIrqInfo, &info), 0);
    EXPECT_EQ(info.flags, kWanted[index].flags) << index;
    EXPECT_EQ(info.count, kWanted[index].count) << index;
  }
  abi::IrqInfo info = {.argsz = sizeof(info), .flags = 0, .index = abi::kPciNumIrqs, .count = 0};
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceGetIrqInfo, &info), -EINVAL);
}

TEST_F(DeviceTest, ResetKeepsConfigurationSpaceAndClearsRegisters) {
  WriteConfig<uint8_t>(0x3c, 0x5a);
  WriteBar<uint32_t>(0x24, 0x001f001f);  // the admin queues' sizes
  ASSERT_EQ(ReadBar<uint32_t>(0x24), 0x001f001fu);
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceReset, uint64_t{0}), 0);
  EXPECT_EQ(ReadConfig<uint8_t>(0x3c), 0x5a);
  EXPECT_EQ(ReadBar<uint32_t>(0x24), 0u);
}

TEST_F(DeviceTest, FeaturesAreAbsentAndTheirFlagsChecked) {
  for (const uint32_t feature :
       {abi::kDeviceFeaturePciVfToken, abi::kDeviceFeatureMigration,
        abi::kDeviceFeatureMigDeviceState, abi::kDeviceFeatureDmaLoggingStart,
        abi::kDeviceFeatureBusMaster, abi::kDeviceFeatureMask}) {
    for (const uint32_t flags :
         {abi::kDeviceFeatureGet, abi::kDeviceFeatureSet,
          abi::kDeviceFeatureProbe | abi::kDeviceFeatureGet,
          abi::kDeviceFeatureProbe | abi::kDeviceFeatureGet | abi::kDeviceFeatureSet}) {
      EXPECT_EQ(Feature(feature | flags), -ENOTTY) << feature << ' ' << flags;
    }
  }
  EXPECT_EQ(Feature(abi::kDeviceFeatureGet | abi::kDeviceFeatureSet), -EINVAL);
  EXPECT_EQ(Feature(1u << 19), -EINVAL);
  EXPECT_EQ(Feature(abi::kDeviceFeatureGet, 7), -EINVAL);
}

TEST_F(DeviceTest, DeviceOfAGroupIsNotBoundToIommufd) {
  abi::DeviceBindIommufd bind = {.argsz = sizeof(bind), .flags = 0, .iommufd = 0, .out_devid = 0};
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceBindIommufd, &bind), -EINVAL);
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceBindIommufd, uint64_t{0}), -EFAULT);
}

TEST_F(DeviceTest, IoeventfdsAreCheckedAndNotToBeHad) {
  abi::DeviceIoeventfd request = {};
  request.argsz = sizeof(request);
  request.flags = abi::kDeviceIoeventfd32;
  request.fd = -1;
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceIoeventfd, &request), -ENOTTY);
  request.fd = -2;
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceIoeventfd, &request), -EINVAL);
  request.fd = -1;
  for (const uint32_t flags : {0u, abi::kDeviceIoeventfd8 | abi::kDeviceIoeventfd16, 1u << 4}) {
    request.flags = flags;
    EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceIoeventfd, &request), -EINVAL) << flags;
  }
}

}  // namespace
}  // namespace compat::soft
