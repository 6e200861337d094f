// ATTACH_IOMMUFD_PT and DETACH_IOMMUFD_PT with PASIDs: what is taken, and what is refused.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "compat/abi/vfio_device.h"
#include "compat/native/pasid_fixture.h"
#include "compat/native/view.h"

namespace compat::native {
namespace {

using soft::TestHost;

class PasidTest : public PasidFixture {};

TEST_F(PasidTest, HardwareInformationSaysHowManyThereAre) {
  const auto bits = [&](uint32_t device) {
    iommufd::HwInfo info = {};
    info.dev_id = device;
    EXPECT_EQ(Call(iommufd::kGetHwInfo, info), 0);
    // No engine asks for leave to execute, or as one who is privileged.
    EXPECT_EQ(info.out_capabilities, iommufd::kHwCapDirtyTracking);
    return info.out_max_pasid_log2;
  };
  uint32_t id = 0;
  EXPECT_EQ(bits(device_), 20);
  OpenAndBind(TestHost::kNarrowEngine, id);
  EXPECT_EQ(bits(id), 4);
  OpenAndBind(0, id);
  EXPECT_EQ(bits(id), 0);
}

TEST_F(PasidTest, StructuresGoAsFarAsThePasid) {
  const uint32_t table = NewTable(kForPasids, 0);
  abi::DeviceAttachIommufdPt attach = {12, abi::kDeviceAttachPasid, table, 5};
  EXPECT_EQ(host_.Ioctl(cdev_, abi::kDeviceAttachIommufdPt, &attach), -EINVAL);
  attach.argsz = 15;
  EXPECT_EQ(host_.Ioctl(cdev_, abi::kDeviceAttachIommufdPt, &attach), -EINVAL);
  attach = {16, abi::kDeviceAttachPasid | 2, table, 5};
  EXPECT_EQ(host_.Ioctl(cdev_, abi::kDeviceAttachIommufdPt, &attach), -EINVAL);
  abi::DeviceDetachIommufdPt detach = {8, abi::kDeviceDetachPasid, 5};
  EXPECT_EQ(host_.Ioctl(cdev_, abi::kDeviceDetachIommufdPt, &detach), -EINVAL);
  // No more is read than there has to be.
  auto* const pages = static_cast<std::byte*>(
      mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(pages + kPage, kPage);
  std::byte* const end = pages + kPage;
  attach = {16, abi::kDeviceAttachPasid, table, 5};
  std::memcpy(end - 12, &attach, 12);
  EXPECT_EQ(host_.Ioctl(cdev_, abi::kDeviceAttachIommufdPt, end - 12), -EFAULT);
  attach.flags = 0;
  std::memcpy(end - 12, &attach, 12);
  EXPECT_EQ(host_.Ioctl(cdev_, abi::kDeviceAttachIommufdPt, end - 12), 0);
  detach = {12, abi::kDeviceDetachPasid, 5};
  std::memcpy(end - 8, &detach, 8);
  EXPECT_EQ(host_.Ioctl(cdev_, abi::kDeviceDetachIommufdPt, end - 8), -EFAULT);
  munmap(pages, kPage);
}

TEST_F(PasidTest, OnlyPageTablesThatWereMadeForPasidsAreTaken) {
  const uint32_t plain = NewTable(0, 0);
  const uint32_t ioas = NewIoas();
  EXPECT_EQ(AttachTo(cdev_, 5, plain), -EINVAL);
  EXPECT_EQ(AttachTo(cdev_, 5, ioas), -EINVAL);
  EXPECT_EQ(AttachTo(cdev_, 5, device_), -EINVAL);
  EXPECT_EQ(AttachTo(cdev_, 5, 77), -ENOENT);
  EXPECT_EQ(Destroy(plain), 0);
  EXPECT_EQ(Destroy(ioas), 0) << "nothing is left behind";
}

TEST_F(PasidTest, TheDevicesOwnTableHasToBeForPasidsAsSoonAsThereAreSome) {
  const uint32_t plain = NewTable(0, 0);
  const uint32_t able = NewTable(kForPasids, 0);
  ASSERT_EQ(AttachDevice(cdev_, plain), 0);
  EXPECT_EQ(AttachTo(cdev_, 5, able), -EINVAL);
  ASSERT_EQ(AttachDevice(cdev_, able), 0);
  EXPECT_EQ(AttachTo(cdev_, 5, able), 0);
  EXPECT_EQ(AttachDevice(cdev_, plain), -EINVAL);
  ASSERT_EQ(Detach(cdev_), 0);
  EXPECT_EQ(AttachDevice(cdev_, plain), -EINVAL);
  uint32_t ioas = NewIoas();
  EXPECT_EQ(Attach(cdev_, ioas), -EINVAL);
  ASSERT_EQ(DetachPasid(cdev_, 5), 0);
  EXPECT_EQ(AttachDevice(cdev_, plain), 0);
}

TEST_F(PasidTest, NumbersAreThoseThatAllOfTheGroupCanSay) {
  const uint32_t table = NewTable(kForPasids, 0);
  EXPECT_EQ(AttachTo(cdev_, 16, table), -EINVAL);  // the narrow one's
  EXPECT_EQ(AttachTo(cdev_, 15, table), 0);
  EXPECT_EQ(AttachTo(cdev_, 1 << 20, table), -EINVAL);
  EXPECT_EQ(AttachTo(cdev_, INT32_MAX, table), -EINVAL);
  EXPECT_EQ(AttachTo(cdev_, uint32_t{1} << 31, table), -ENOSPC);
  EXPECT_EQ(AttachTo(cdev_, UINT32_MAX, 77), -ENOSPC);
  EXPECT_EQ(AttachTo(cdev_, static_cast<uint32_t>(-EINVAL), table), -EINVAL);
  EXPECT_EQ(AttachTo(cdev_, static_cast<uint32_t>(-EINVAL), 77), -ENOENT);
  for (const uint32_t pasid : {14u, 1u << 20, UINT32_MAX, static_cast<uint32_t>(-EINVAL)}) {
    EXPECT_EQ(DetachPasid(cdev_, pasid), 0) << "is not attached";
  }
  // Beside drives, which have none, an engine has all of its own.
  uint32_t id = 0;
  const int mixed = OpenAndBind(TestHost::kMixedEngine, id);
  EXPECT_EQ(AttachTo(mixed, (1 << 20) - 1, table), 0);
  EXPECT_EQ(AttachTo(mixed, 1 << 20, table), -EINVAL);
  const int drive = OpenAndBind(0, id);
  EXPECT_EQ(AttachTo(drive, 1 << 20, table), -EINVAL);
  EXPECT_EQ(AttachTo(drive, 5, table), 0);
}

TEST_F(PasidTest, PageTablesCountTheirUsers) {
  const uint32_t one = NewTable(kForPasids, 0);
  const uint32_t other = NewTable(kForPasids, 0);
  ASSERT_EQ(AttachTo(cdev_, 1, one), 0);
  ASSERT_EQ(AttachTo(cdev_, 2, one), 0);
  EXPECT_EQ(Destroy(one), -EBUSY);
  EXPECT_EQ(Destroy(other), 0);
  ASSERT_EQ(AttachTo(cdev_, 1, one), 0) << "it is there already";
  const uint32_t third = NewTable(kForPasids, 0);
  ASSERT_EQ(AttachTo(cdev_, 1, third), 0);
  EXPECT_EQ(Destroy(one), -EBUSY);
  EXPECT_EQ(Destroy(third), -EBUSY);
  ASSERT_EQ(DetachPasid(cdev_, 2), 0);
  ASSERT_EQ(DetachPasid(cdev_, 2), 0);
  EXPECT_EQ(Destroy(one), 0);
  EXPECT_EQ(AttachTo(cdev_, 1, one), -ENOENT);
  EXPECT_EQ(Destroy(third), -EBUSY);
  ASSERT_EQ(DetachPasid(cdev_, 1), 0);
  EXPECT_EQ(Destroy(third), 0);
}

TEST_F(PasidTest, AGroupHasOneTableForEach) {
  const uint32_t one = NewTable(kForPasids, 0);
  const uint32_t other = NewTable(kForPasids, 0);
  uint32_t id = 0;
  const int second = OpenAndBind(TestHost::kNarrowEngine, id);
  ASSERT_EQ(AttachTo(cdev_, 1, one), 0);
  EXPECT_EQ(AttachTo(second, 1, other), -EINVAL);
  EXPECT_EQ(AttachTo(second, 2, other), 0);
  EXPECT_EQ(AttachTo(second, 1, one), 0);
  // One of them replaces it for both.
  EXPECT_EQ(AttachTo(second, 1, other), 0);
  EXPECT_EQ(Destroy(one), 0);
  ASSERT_EQ(DetachPasid(second, 1), 0);
  ASSERT_EQ(DetachPasid(second, 2), 0);
  EXPECT_EQ(Destroy(other), -EBUSY);
  ASSERT_EQ(DetachPasid(cdev_, 1), 0);
  EXPECT_EQ(Destroy(other), 0);
}

// To the IOMMU it is the device itself, to VFIO it is something else.
TEST_F(PasidTest, PasidZeroIsTheDevice) {
  const uint32_t one = NewTable(0, 0);
  const uint32_t other = NewTable(0, 0);
  ASSERT_EQ(AttachDevice(cdev_, one), 0);
  EXPECT_EQ(AttachTo(cdev_, 0, one), -EBUSY);
  EXPECT_EQ(AttachTo(cdev_, 0, device_), -EINVAL);
  EXPECT_EQ(AttachTo(cdev_, 0, 77), -ENOENT);
  EXPECT_EQ(DetachPasid(cdev_, 0), 0);
  EXPECT_EQ(Destroy(one), -EBUSY) << "that detached nothing";
  ASSERT_EQ(Detach(cdev_), 0);
  ASSERT_EQ(AttachTo(cdev_, 0, one), 0);
  EXPECT_EQ(AttachDevice(cdev_, other), -EBUSY);
  EXPECT_EQ(Detach(cdev_), 0);
  EXPECT_EQ(Destroy(one), -EBUSY);
  EXPECT_EQ(AttachTo(cdev_, 0, other), 0);
  EXPECT_EQ(Destroy(one), 0);
  // An address space is taken as well, with a page table of the kernel's own choice.
  uint32_t ioas = NewIoas();
  const uint32_t asked = ioas;
  EXPECT_EQ(AttachPasid(cdev_, 0, ioas), 0);
  EXPECT_NE(ioas, asked);
  EXPECT_EQ(Destroy(other), 0);
  ASSERT_EQ(DetachPasid(cdev_, 0), 0);
  EXPECT_EQ(Destroy(ioas), -ENOENT) << "it went with its last device";
  EXPECT_EQ(Destroy(asked), 0);
}

TEST_F(PasidTest, ClosingTheDeviceDetachesAll) {
  const uint32_t table = NewTable(kForPasids, 0);
  const size_t before = BytesInUse();
  for (const uint32_t pasid : {0u, 1u, 7u, 15u}) ASSERT_EQ(AttachTo(cdev_, pasid, table), 0);
  EXPECT_EQ(Destroy(table), -EBUSY);
  host_.Close(cdev_);
  EXPECT_LT(BytesInUse(), before);
  EXPECT_EQ(Destroy(table), 0);
}

// Whose address spaces are shown: the groups of those that any device reaches, and how many.
class GroupsCollector final : public vfio::IoasVisitor {
 public:
  bool Visit(const vfio::IoasView& view) override {
    groups |= view.groups;
    reached += view.groups != 0 ? 1 : 0;
    return true;
  }
  uint64_t groups = 0;
  int reached = 0;
};

TEST_F(PasidTest, AnAddressSpaceIsShownAsReachedByPasidsToo) {
  const auto shown = [this] {
    const vfio::Host::Lock lock(host_.host());
    GroupsCollector collector;
    EXPECT_TRUE(VisitIoases(host_.host(), 0, 1000, collector).ok());
    return collector;
  };
  const uint32_t first = NewTable(kForPasids, 0);
  const uint32_t second = NewTable(kForPasids, 4);
  NewIoas();
  EXPECT_EQ(shown().reached, 0);
  ASSERT_EQ(AttachTo(cdev_, 3, first), 0);
  EXPECT_EQ(shown().reached, 1);
  const uint32_t group = host_.host().state().devices[TestHost::kEngine].group;
  EXPECT_EQ(shown().groups, uint64_t{1} << group);
  ASSERT_EQ(AttachTo(cdev_, 9, second), 0);
  EXPECT_EQ(shown().reached, 2);
  ASSERT_EQ(DetachPasid(cdev_, 3), 0);
  EXPECT_EQ(shown().reached, 1);
}

TEST_F(PasidTest, ClosingEverythingLeavesNothing) {
  const size_t before = BytesInUse();
  const int iommufd = iommufd_;
  iommufd_ = host_.OpenIommufd();
  uint32_t id = 0;
  const int cdev = OpenAndBind(TestHost::kMixedEngine, id);
  const uint32_t ioas = NewIoas();
  uint32_t table = 0;
  ASSERT_EQ(NewHwpt(id, ioas, kForPasids, table), 0);
  ASSERT_EQ(AttachTo(cdev, 1000, table), 0);
  ASSERT_EQ(AttachTo(cdev, 70000, table), 0);
  host_.Close(iommufd_);
  host_.Close(cdev);
  iommufd_ = iommufd;
  EXPECT_LE(BytesInUse(), before + 8192) << "but for a context, which is kept for reuse";
  iommufd_ = host_.OpenIommufd();
  OpenAndBind(TestHost::kMixedEngine, id);
  EXPECT_EQ(id, 1u);
}

}  // namespace
}  // namespace compat::native
