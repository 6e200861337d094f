// An iommufd as a group's container: legacy calls and iommufd's on the same address space.
#include <cerrno>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_group.h"
#include "compat/native/native_fixture.h"

namespace compat::native {
namespace {

using soft::TestHost;

class GroupContainerTest : public NativeFixture {
 protected:
  GroupContainerTest() : group_(host_.OpenGroup(TestHost::kGroup)) {}

  long Join(int group) { return host_.Ioctl(group, abi::kGroupSetContainer, &iommufd_); }
  long Leave(int group) { return host_.Ioctl(group, abi::kGroupUnsetContainer, uint64_t{0}); }
  uint32_t FlagsOf(int group) {
    abi::GroupStatus status = {.argsz = sizeof(status), .flags = 0};
    EXPECT_EQ(host_.Ioctl(group, abi::kGroupGetStatus, &status), 0);
    return status.flags;
  }
  long VfioIoas(uint32_t op, uint32_t& id) {
    iommufd::VfioIoas command = {};
    command.ioas_id = id;
    command.op = static_cast<uint16_t>(op);
    const long result = Call(iommufd::kVfioIoas, command);
    id = command.ioas_id;
    return result;
  }
  long LegacyMap(uint64_t iova, uint64_t size) {
    abi::DmaMap map = {.argsz = sizeof(map),
                       .flags = abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite,
                       .vaddr = reinterpret_cast<uint64_t>(memory_),
                       .iova = iova,
                       .size = size};
    return host_.Ioctl(iommufd_, abi::kIommuMapDma, &map);
  }
  long Unmap(uint32_t ioas, uint64_t iova, uint64_t length) {
    iommufd::IoasUnmap command = {.size = 0, .ioas_id = ioas, .iova = iova, .length = length};
    return Call(iommufd::kIoasUnmap, command);
  }
  // Which address space the DMA of device `index` reaches.
  uint32_t SpaceOf(uint32_t index) {
    const ioas::Arena arena = host_.host().arena();
    return arena.Get(host_.host().state().devices[index].soft)->target.space.unit;
  }

  int group_;
};

TEST_F(GroupContainerTest, LegacyCallsAndIommufdsShareAnAddressSpace) {
  uint32_t ioas = 0;
  EXPECT_EQ(VfioIoas(iommufd::kVfioIoasGet, ioas), -ENODEV);
  EXPECT_EQ(host_.OpenDevice(group_, TestHost::kDevice), -EINVAL);
  EXPECT_EQ(FlagsOf(group_), abi::kGroupFlagsViable);
  ASSERT_EQ(Join(group_), 0);
  EXPECT_EQ(FlagsOf(group_), abi::kGroupFlagsViable | abi::kGroupFlagsContainerSet);
  EXPECT_EQ(Join(group_), -EINVAL);
  ASSERT_EQ(VfioIoas(iommufd::kVfioIoasGet, ioas), 0);
  EXPECT_EQ(host_.Ioctl(iommufd_, abi::kSetIommu, uint64_t{abi::kType1v2Iommu}), 0);

  const int device = host_.OpenDevice(group_, TestHost::kDevice);
  ASSERT_GE(device, 0);
  EXPECT_EQ(LegacyMap(0x10000, kPage), 0);
  EXPECT_EQ(Map(ioas, 0x10000, kPage), -EEXIST);
  EXPECT_EQ(Map(ioas, 0x20000, kPage), 0);
  EXPECT_EQ(LegacyMap(0x20000, kPage), -EEXIST);

  // A device of an iommufd program beside it, in the same address space.
  const int cdev = host_.OpenCdev(1);
  uint32_t id = 0;
  ASSERT_EQ(Bind(cdev, id), 0);
  uint32_t table = ioas;
  ASSERT_EQ(Attach(cdev, table), 0);
  EXPECT_NE(SpaceOf(0), 0u);
  EXPECT_EQ(SpaceOf(0), SpaceOf(1));
  EXPECT_EQ(Unmap(ioas, 0x10000, kPage), 0);
  EXPECT_EQ(LegacyMap(0x10000, kPage), 0);
}

TEST_F(GroupContainerTest, TheAddressSpaceMayBeOneThatTheProgramHas) {
  uint32_t ioas = NewIoas();
  ASSERT_EQ(Map(ioas, 0, kPage), 0);
  ASSERT_EQ(VfioIoas(iommufd::kVfioIoasSet, ioas), 0);
  ASSERT_EQ(Join(group_), 0);
  uint32_t found = 0;
  ASSERT_EQ(VfioIoas(iommufd::kVfioIoasGet, found), 0);
  EXPECT_EQ(found, ioas);
  ASSERT_GE(host_.OpenDevice(group_, TestHost::kDevice), 0);
  EXPECT_EQ(Destroy(ioas), -EBUSY);
}

TEST_F(GroupContainerTest, WithoutAnAddressSpaceNoDeviceIsHad) {
  ASSERT_EQ(Join(group_), 0);
  uint32_t ioas = 0;
  ASSERT_EQ(VfioIoas(iommufd::kVfioIoasClear, ioas), 0);
  const size_t before = BytesInUse();
  EXPECT_EQ(host_.OpenDevice(group_, TestHost::kDevice), -ENODEV);
  EXPECT_EQ(BytesInUse(), before);
  EXPECT_EQ(host_.host().state().devices[0].opens, 0u);
  // What is mapped lies where the device does not reach.
  uint32_t far = NewIoas();
  ASSERT_EQ(Map(far, uint64_t{1} << 60, kPage), 0);
  ASSERT_EQ(VfioIoas(iommufd::kVfioIoasSet, far), 0);
  EXPECT_EQ(host_.OpenDevice(group_, TestHost::kDevice), -EADDRINUSE);
  EXPECT_EQ(host_.host().state().devices[0].opens, 0u);
  EXPECT_EQ(Destroy(far), 0);
}

TEST_F(GroupContainerTest, TheDeviceIsBoundUntilItsLastFileEnds) {
  ASSERT_EQ(Join(group_), 0);
  const int device = host_.OpenDevice(group_, TestHost::kDevice);
  const int second = host_.OpenDevice(group_, TestHost::kDevice);
  ASSERT_GE(second, 0);
  // The device keeps the context, and not the group.
  EXPECT_EQ(Leave(group_), 0);
  EXPECT_EQ(Leave(group_), -EINVAL);
  uint32_t ioas = 0;
  ASSERT_EQ(VfioIoas(iommufd::kVfioIoasGet, ioas), 0);
  EXPECT_EQ(Destroy(ioas), -EBUSY);
  const int container = host_.OpenContainer();
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupSetContainer, &container), -EPERM);
  host_.Close(device);
  EXPECT_NE(SpaceOf(0), 0u);
  host_.Close(second);
  EXPECT_EQ(SpaceOf(0), 0u);
  EXPECT_EQ(Destroy(ioas), 0);
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupSetContainer, &container), 0);
}

TEST_F(GroupContainerTest, CdevsAndGroupsKeepEachOtherOut) {
  ASSERT_EQ(Join(group_), 0);
  const int cdev = host_.OpenCdev(0);
  uint32_t id = 0;
  EXPECT_EQ(Bind(cdev, id), -EBUSY);
  ASSERT_GE(host_.OpenDevice(group_, TestHost::kDevice), 0);
  host_.Close(group_);
  // The group's file has ended, the device's has not.
  EXPECT_NE(Bind(cdev, id), 0);
  group_ = host_.OpenGroup(TestHost::kGroup);
  EXPECT_GE(group_, 0);
  ASSERT_EQ(Join(group_), 0);
  EXPECT_GE(host_.OpenDevice(group_, TestHost::kDevice), 0);
}

TEST_F(GroupContainerTest, AContextLivesAsLongAsAGroupNamesIt) {
  const size_t before = BytesInUse();
  ASSERT_EQ(Join(group_), 0);
  host_.Close(iommufd_);
  EXPECT_GT(BytesInUse(), before);
  const int device = host_.OpenDevice(group_, TestHost::kDevice);
  ASSERT_GE(device, 0);
  host_.Close(group_);
  EXPECT_GT(BytesInUse(), before);
  host_.Close(device);
  EXPECT_EQ(BytesInUse(), before);
}

class CdevResetTest : public NativeFixture {
 protected:
  struct Info {
    abi::PciHotResetInfo header;
    abi::PciDependentDevice devices[4];
  };
  static constexpr uint32_t kIds = abi::kPciHotResetFlagDevId;
  static constexpr uint32_t kOwned = kIds | abi::kPciHotResetFlagDevIdOwned;

  CdevResetTest() : cdev_(host_.OpenCdev(0)) { EXPECT_EQ(Bind(cdev_, id_), 0); }

  long GetInfo(Info& info) {
    info = {};
    info.header.argsz = sizeof(info);
    return host_.Ioctl(cdev_, abi::kDeviceGetPciHotResetInfo, &info);
  }
  long Reset(uint32_t count) {
    struct {
      abi::PciHotReset header;
      int32_t group;
    } reset = {{sizeof(reset), 0, count}, -1};
    return host_.Ioctl(cdev_, abi::kDevicePciHotReset, &reset);
  }

  int cdev_;
  uint32_t id_ = 0;
};

TEST_F(CdevResetTest, NeedsAllAffectedDevicesInOneContext) {
  Info info;
  ASSERT_EQ(GetInfo(info), 0);
  EXPECT_EQ(info.header.flags, kIds);
  EXPECT_EQ(info.header.count, 2u);
  EXPECT_EQ(info.devices[0].devid, id_);
  EXPECT_EQ(info.devices[0].devfn, 5 << 3);
  EXPECT_EQ(info.devices[1].devid, abi::kPciDevidNotOwned);
  EXPECT_EQ(Reset(0), -EINVAL);

  uint32_t other = 0;
  const int second = host_.OpenCdev(1);
  ASSERT_EQ(Bind(second, other), 0);
  ASSERT_EQ(GetInfo(info), 0);
  EXPECT_EQ(info.header.flags, kOwned);
  EXPECT_EQ(info.devices[1].devid, other);
  EXPECT_EQ(Reset(1), -EINVAL);
  EXPECT_EQ(Reset(0), 0);

  // Another device of its group is enough: nobody else can have it.
  host_.Close(second);
  const int far = host_.OpenCdev(2);
  ASSERT_EQ(Bind(far, other), 0);
  ASSERT_EQ(GetInfo(info), 0);
  EXPECT_EQ(info.header.flags, kOwned);
  EXPECT_EQ(info.devices[1].devid, abi::kPciDevidOwned);
  EXPECT_EQ(Reset(0), 0);
}

TEST_F(CdevResetTest, AnotherContextsDevicesAreForeign) {
  const int own = iommufd_;
  iommufd_ = host_.OpenIommufd();
  uint32_t other = 0;
  ASSERT_EQ(Bind(host_.OpenCdev(1), other), 0);
  iommufd_ = own;
  Info info;
  ASSERT_EQ(GetInfo(info), 0);
  EXPECT_EQ(info.header.flags, kIds);
  EXPECT_EQ(info.devices[1].devid, abi::kPciDevidNotOwned);
  EXPECT_EQ(Reset(0), -EINVAL);
}

}  // namespace
}  // namespace compat::native
