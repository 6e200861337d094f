// read(), write() and mmap() on a device's descriptor.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "compat/soft/device_fixture.h"

namespace compat::soft {
namespace {

constexpr uint64_t kVendorId = 0x00;
constexpr uint64_t kCommand = 0x04;
constexpr uint16_t kCommandMemory = 2;
constexpr uint64_t kBar0 = 0x10;
constexpr uint64_t kInterruptLine = 0x3c;
constexpr uint64_t kVersion = 0x08;
constexpr uint64_t kQueueSizes = 0x24;
constexpr uint32_t kNvme14 = 0x00010400;

class DeviceIoTest : public DeviceFixture {
 protected:
  long Read(uint64_t position, size_t size = 4) {
    buffer_.assign(size, 0);
    return host_.Read(device_, buffer_.data(), size, position);
  }
  long Write(uint64_t position, size_t size = 4) {
    buffer_.assign(size, 0);
    return host_.Write(device_, buffer_.data(), size, position);
  }
  void EnableMemory(bool on) {
    const auto command = ReadConfig<uint16_t>(kCommand);
    WriteConfig<uint16_t>(kCommand, on ? command | kCommandMemory : command & ~kCommandMemory);
  }

  std::vector<uint8_t> buffer_;
};

TEST_F(DeviceIoTest, ConfigurationSpaceIsReadAsAWholeOrNotAtAll) {
  EXPECT_EQ(Read(kConfig, kConfigSize), static_cast<long>(kConfigSize));
  EXPECT_EQ(Read(kConfig + kConfigSize - 1, 1), 1);
  EXPECT_EQ(Read(kConfig + kConfigSize - 1, 2), -EFAULT);
  EXPECT_EQ(Read(kConfig + kConfigSize, 1), -EFAULT);
  EXPECT_EQ(Read(kConfig, kConfigSize + 1), -EFAULT);
  EXPECT_EQ(Write(kConfig + kConfigSize - 2, 4), -EFAULT);
  EXPECT_EQ(Write(kConfig + kConfigSize, 1), -EFAULT);
}

TEST_F(DeviceIoTest, ConfigurationSpaceKeepsWhatProgramsMayWrite) {
  const auto vendor = ReadConfig<uint16_t>(kVendorId);
  WriteConfig<uint16_t>(kVendorId, 0);
  EXPECT_EQ(ReadConfig<uint16_t>(kVendorId), vendor);
  WriteConfig<uint8_t>(kInterruptLine, 0x5a);
  EXPECT_EQ(ReadConfig<uint8_t>(kInterruptLine), 0x5a);
  // A BAR answers with its size.
  WriteConfig<uint32_t>(kBar0, ~0u);
  EXPECT_EQ(~(ReadConfig<uint32_t>(kBar0) & ~0xfu) + 1, kBarSize);
}

TEST_F(DeviceIoTest, BarIsCutOffAtItsEnd) {
  EXPECT_EQ(ReadBar<uint32_t>(kVersion), kNvme14);
  EXPECT_EQ(Read(kBarSize - 4, 4), 4);
  EXPECT_EQ(Read(kBarSize - 4, 4096), 4);
  EXPECT_EQ(Write(kBarSize - 4, 4096), 4);
  EXPECT_EQ(Read(kBarSize), -EINVAL);
  EXPECT_EQ(Write(kBarSize), -EINVAL);
  EXPECT_EQ(Read(0, 2 * kBarSize), static_cast<long>(kBarSize));
}

TEST_F(DeviceIoTest, MsixTableReadsAsOnesAndDropsWrites) {
  EXPECT_EQ(Write(kMsixTable, 16), 16);
  EXPECT_EQ(ReadBar<uint64_t>(kMsixTable), ~uint64_t{0});
}

TEST_F(DeviceIoTest, AbsentRegionsCannotBeReadOrWritten) {
  for (uint64_t region = abi::kPciBar1RegionIndex; region < abi::kPciNumRegions + 3; ++region) {
    if (region == abi::kPciConfigRegionIndex) continue;
    EXPECT_EQ(Read(RegionOffset(region)), -EINVAL) << region;
    EXPECT_EQ(Write(RegionOffset(region)), -EINVAL) << region;
  }
  EXPECT_EQ(Read(~uint64_t{0}), -EINVAL);
}

TEST_F(DeviceIoTest, NothingIsReadAnywhere) {
  for (const uint64_t position : {uint64_t{0}, kBarSize, kConfig + kConfigSize, ~uint64_t{0}}) {
    EXPECT_EQ(host_.Read(device_, nullptr, 0, position), 0);
    EXPECT_EQ(host_.Write(device_, nullptr, 0, position), 0);
  }
}

TEST_F(DeviceIoTest, BadPointersAreFaults) {
  void* const nowhere = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (const uint64_t position : {kConfig, uint64_t{0}, kMsixTable}) {
    EXPECT_EQ(host_.Read(device_, nowhere, 4, position), -EFAULT);
    EXPECT_EQ(host_.Write(device_, nowhere, 4, position), -EFAULT);
  }
  // A write is refused for its memory before it is for the device's.
  EnableMemory(false);
  EXPECT_EQ(host_.Write(device_, nowhere, 4, 0), -EFAULT);
  EXPECT_EQ(host_.Read(device_, nowhere, 4, 0), -EIO);
  munmap(nowhere, 4096);
}

TEST_F(DeviceIoTest, BarDoesNotAnswerWhileMemoryIsDisabled) {
  EnableMemory(false);
  EXPECT_EQ(Read(kVersion), -EIO);
  EXPECT_EQ(Write(kQueueSizes), -EIO);
  EXPECT_EQ(Read(kBarSize), -EINVAL);
  EXPECT_EQ(ReadConfig<uint16_t>(kCommand) & kCommandMemory, 0);
  EnableMemory(true);
  EXPECT_EQ(ReadBar<uint32_t>(kVersion), kNvme14);
}

TEST_F(DeviceIoTest, FilesPositionMovesWithWhatWasDone) {
  uint32_t low = 0;
  uint32_t high = 0;
  uint32_t version = 0;
  EXPECT_EQ(host_.ReadNext(device_, &low, 4), 4);
  EXPECT_EQ(host_.ReadNext(device_, &high, 4), 4);
  EXPECT_EQ(host_.ReadNext(device_, &version, 4), 4);
  EXPECT_EQ(version, kNvme14);
  EXPECT_EQ(uint64_t{high} << 32 | low, ReadBar<uint64_t>(0));
  // Positions of one's own do not move it, nor does what fails.
  EXPECT_EQ(Read(kConfig), 4);
  EnableMemory(false);
  EXPECT_EQ(host_.ReadNext(device_, &version, 4), -EIO);
  EnableMemory(true);
  std::vector<uint8_t> rest(kBarSize);
  EXPECT_EQ(host_.ReadNext(device_, rest.data(), rest.size()), static_cast<long>(kBarSize) - 12);
  EXPECT_EQ(host_.ReadNext(device_, rest.data(), 1), -EINVAL);
}

TEST_F(DeviceIoTest, PositionBelongsToTheFileNotToTheDescriptor) {
  uint32_t value = 0;
  const int copy = host_.Duplicate(device_);
  const int other = host_.OpenDevice(group_, TestHost::kDevice);
  EXPECT_EQ(host_.ReadNext(device_, &value, 4), 4);
  EXPECT_EQ(host_.ReadNext(copy, &value, 4), 4);
  EXPECT_EQ(host_.ReadNext(copy, &value, 4), 4);
  EXPECT_EQ(value, kNvme14);
  const uint32_t nothing = 0;
  EXPECT_EQ(host_.WriteNext(other, &nothing, 4), 4);
  EXPECT_EQ(host_.ReadNext(other, &value, 4), 4);
  EXPECT_NE(value, kNvme14);
  EXPECT_EQ(host_.ReadNext(other, &value, 4), 4);
  EXPECT_EQ(value, kNvme14);
}

TEST_F(DeviceIoTest, OnlyTheMappablePartOfABarIsMapped) {
  const auto place = [this](uint64_t offset, uint64_t size, bool is_shared = true) {
    const auto found = host_.host().FileOffsetFor(host_.Slot(device_), offset, size, is_shared);
    return found.ok() ? 0 : -found.error().code;
  };
  EXPECT_EQ(place(0, kMappable), 0);
  EXPECT_EQ(place(4096, 4096), 0);
  EXPECT_EQ(place(0, kMappable, /*is_shared=*/false), -EINVAL);
  EXPECT_EQ(place(0, kMappable + 4096), -EINVAL);
  EXPECT_EQ(place(4096, kMappable), -EINVAL);
  EXPECT_EQ(place(kMsixTable, 4096), -EINVAL);
  EXPECT_EQ(place(4096, ~uint64_t{0} - 4095), -EINVAL);
  for (uint64_t region = abi::kPciBar1RegionIndex; region < abi::kPciNumRegions + 2; ++region) {
    EXPECT_EQ(place(RegionOffset(region), 4096), -EINVAL) << region;
  }
}

TEST_F(DeviceIoTest, MappedRegistersAreThoseThatAreRead) {
  const long address = host_.Map(device_, kMappable, 0);
  ASSERT_GT(address, 0);
  auto* const registers = reinterpret_cast<volatile uint32_t*>(address);
  EXPECT_EQ(registers[kVersion / 4], kNvme14);
  WriteBar<uint32_t>(kQueueSizes, 0x001f001f);
  EXPECT_EQ(registers[kQueueSizes / 4], 0x001f001fu);
  registers[kQueueSizes / 4] = 0x000f000f;
  EXPECT_EQ(ReadBar<uint32_t>(kQueueSizes), 0x000f000fu);
  host_.Unmap(device_, address, kMappable);
}

TEST_F(DeviceIoTest, MappedBarHoldsTheDeviceOpen) {
  const uint32_t slot = host_.Slot(device_);
  const long address = host_.Map(device_, kMappable, 0);
  ASSERT_GT(address, 0);
  host_.Close(device_);
  host_.Close(group_);
  EXPECT_EQ(host_.OpenGroup(TestHost::kGroup), -EBUSY);
  host_.host().OnUnmap(slot, reinterpret_cast<void*>(address), kMappable);
  munmap(reinterpret_cast<void*>(address), kMappable);
  host_.host().OnClosed(slot);
  EXPECT_GE(host_.OpenGroup(TestHost::kGroup), 0);
}

}  // namespace
}  // namespace compat::soft
