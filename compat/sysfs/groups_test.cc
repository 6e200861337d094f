#include "compat/sysfs/groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "compat/sysfs/fake_tree.h"

namespace compat::sysfs {
namespace {

using Numbers = std::vector<uint32_t>;

constexpr char kNvme[] = "0000:00:05.0";
constexpr char kNetwork[] = "0000:00:06.0";
constexpr char kBridge[] = "0000:00:01.0";
constexpr char kUuid[] = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
constexpr uint32_t kMadeUp = kFirstMadeUpGroup + 5;

class GroupsTest : public testing::Test {
 protected:
  Group Read(uint32_t number) const {
    Group group;
    EXPECT_TRUE(groups_.Read(number, group)) << number;
    return group;
  }

  bool IsViableWith(const std::string& device, const std::string& driver) const {
    tree_.Bind(device, driver);
    return Read(7).is_viable;
  }

  FakeTree tree_;
  Groups groups_{tree_.root()};
};

TEST_F(GroupsTest, AMachineWithoutIommuHasNoGroups) {
  EXPECT_EQ(groups_.Numbers(), Numbers{});
  EXPECT_EQ(groups_.AllNumbers(), Numbers{});
  Group group;
  EXPECT_FALSE(groups_.Read(0, group));
  EXPECT_FALSE(groups_.ReadAny(0, group));
}

TEST_F(GroupsTest, GroupsWithoutADeviceOfVfiosAreNotLegacys) {
  tree_.AddDevice(100, kNvme, "0x010802");
  tree_.BindVfio(kNvme, 3);
  tree_.AddDevice(20, kNetwork, "0x020000");
  tree_.Bind(kNetwork, "e1000e");
  tree_.AddDevice(3, kBridge, "0x060400");
  EXPECT_EQ(groups_.Numbers(), Numbers{100});
  EXPECT_EQ(groups_.AllNumbers(), (Numbers{3, 20, 100}));
  Group group;
  EXPECT_FALSE(groups_.Read(20, group));
  EXPECT_TRUE(groups_.ReadAny(20, group));
  EXPECT_STREQ(group.devices[0].driver, "e1000e");
}

TEST_F(GroupsTest, DevicesAreSortedAndDescribed) {
  tree_.AddDevice(7, kNetwork, "0x020000");
  tree_.AddDevice(7, kNvme, "0x010802");
  tree_.AddDevice(7, kBridge, "0x060400");
  tree_.BindVfio(kNvme, 12);
  tree_.Bind(kBridge, "pcieport");
  const Group group = Read(7);
  EXPECT_EQ(group.number, 7u);
  EXPECT_FALSE(group.is_noiommu);
  EXPECT_TRUE(group.is_viable);
  ASSERT_EQ(group.devices.size(), 3u);
  EXPECT_STREQ(group.devices[0].name, kBridge);
  EXPECT_STREQ(group.devices[0].driver, "pcieport");
  EXPECT_TRUE(group.devices[0].is_bridge);
  EXPECT_FALSE(group.devices[0].has_cdev);
  EXPECT_STREQ(group.devices[1].name, kNvme);
  EXPECT_STREQ(group.devices[1].driver, "vfio-pci");
  EXPECT_FALSE(group.devices[1].is_bridge);
  EXPECT_TRUE(group.devices[1].has_cdev);
  EXPECT_EQ(group.devices[1].cdev, 12u);
  EXPECT_STREQ(group.devices[2].driver, "");
}

TEST_F(GroupsTest, ADriverThatClaimsDmaSpoilsItsGroupEvenOnABridge) {
  tree_.AddDevice(7, kNvme, "0x010802");
  tree_.BindVfio(kNvme, 0);
  tree_.AddDevice(7, kNetwork, "0x020000");
  tree_.AddDevice(7, kBridge, "0x060400");
  EXPECT_TRUE(Read(7).is_viable);
  EXPECT_TRUE(IsViableWith(kBridge, "pcieport"));
  EXPECT_TRUE(IsViableWith(kNetwork, "pci-stub"));
  EXPECT_FALSE(IsViableWith(kNetwork, "e1000e"));
  tree_.BindVfio(kNetwork, 1);
  EXPECT_TRUE(Read(7).is_viable);
  EXPECT_FALSE(IsViableWith(kBridge, "shpchp"));
}

TEST_F(GroupsTest, ADriverOfVfiosIsKnownByItsDeviceWhateverItsName) {
  tree_.AddDevice(7, kNvme, "0x010802");
  tree_.BindVfio(kNvme, 0);
  EXPECT_TRUE(Read(7).is_viable);
  tree_.Remove(FakeTree::DevicePath(kNvme) + "/driver");
  tree_.Link(FakeTree::DevicePath(kNvme) + "/driver", "../../../bus/pci/drivers/vendor-variant");
  EXPECT_TRUE(Read(7).is_viable);
  EXPECT_STREQ(Read(7).devices[0].driver, "vendor-variant");
}

TEST_F(GroupsTest, NoiommuGroupsAreThoseWithTheNameAndNoNode) {
  tree_.AddDevice(7, kNvme, "0x010802");
  tree_.BindVfio(kNvme, 0);
  tree_.Write("/sys/kernel/iommu_groups/7/name", "vfio-noiommu\n");
  EXPECT_FALSE(Read(7).is_noiommu);
  tree_.Remove(FakeTree::DevicePath(kNvme) + "/vfio-dev/vfio0/dev");
  EXPECT_TRUE(Read(7).is_noiommu);
  GroupNode node;
  EXPECT_TRUE(groups_.Find(7, node) && node.is_noiommu);
  tree_.Write("/sys/kernel/iommu_groups/7/name", "mine\n");
  EXPECT_FALSE(Read(7).is_noiommu);
}

TEST_F(GroupsTest, HotplugIsSeenAtTheNextCall) {
  tree_.AddDevice(7, kNvme, "0x010802");
  tree_.BindVfio(kNvme, 0);
  EXPECT_EQ(groups_.Numbers(), Numbers{7});
  tree_.Unbind(kNvme);
  EXPECT_EQ(groups_.Numbers(), Numbers{});
}

TEST_F(GroupsTest, AMediatedDeviceHasAGroupOfItsOwn) {
  tree_.AddDevice(7, kNvme, "0x010802");
  tree_.BindVfio(kNvme, 3);
  tree_.AddMediated(kUuid, 5);
  EXPECT_EQ(groups_.Numbers(), (Numbers{7, kMadeUp}));
  EXPECT_EQ(groups_.AllNumbers(), (Numbers{7, kMadeUp}));
  const Group group = Read(kMadeUp);
  EXPECT_TRUE(group.is_viable);
  EXPECT_FALSE(group.is_noiommu);
  ASSERT_EQ(group.devices.size(), 1u);
  EXPECT_STREQ(group.devices[0].name, kUuid);
  EXPECT_STREQ(group.devices[0].driver, "mtty");
  EXPECT_TRUE(group.devices[0].has_cdev);
  EXPECT_EQ(group.devices[0].cdev, 5u);
  EXPECT_FALSE(group.devices[0].is_bridge);
  tree_.RemoveMediated(kUuid);
  EXPECT_EQ(groups_.Numbers(), Numbers{7});
}

TEST_F(GroupsTest, NoGroupIsMadeUpForADeviceThatHasOne) {
  tree_.AddMediated(kUuid, 5);
  tree_.Link(FakeTree::MediatedPath(kUuid) + "/iommu_group",
             "../../../../../kernel/iommu_groups/9");
  tree_.Link("/sys/kernel/iommu_groups/9/devices/" + std::string(kUuid),
             "../../../../devices/virtual/mtty/mtty/" + std::string(kUuid));
  EXPECT_EQ(groups_.AllNumbers(), Numbers{9});
  Group group;
  EXPECT_FALSE(groups_.Read(kMadeUp, group));
  EXPECT_EQ(groups_.FindMediated(kUuid), std::nullopt);
  EXPECT_STREQ(Read(9).devices[0].name, kUuid);
}

TEST_F(GroupsTest, OtherNumbersThatCouldBeMadeUpAreNone) {
  tree_.AddMediated(kUuid, 5);
  Group group;
  GroupNode node;
  for (const uint32_t number : {kFirstMadeUpGroup, kMadeUp + 1, kFirstMadeUpGroup + kMadeUpGroups,
                                kFirstMadeUpGroup + kMadeUpGroups + 5, UINT32_MAX, 5u}) {
    EXPECT_FALSE(groups_.ReadAny(number, group)) << number;
    EXPECT_FALSE(groups_.Find(number, node)) << number;
  }
}

TEST_F(GroupsTest, AMediatedDeviceIsFoundByNameAndKnowsItsPath) {
  tree_.AddMediated(kUuid, 5);
  EXPECT_EQ(groups_.FindMediated(kUuid), kMadeUp);
  EXPECT_EQ(groups_.FindMediated("83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"), std::nullopt);
  char path[256];
  EXPECT_EQ(groups_.ReadMediatedPath(kMadeUp, path), std::string("virtual/mtty/mtty/") + kUuid);
  EXPECT_STREQ(path, (std::string("virtual/mtty/mtty/") + kUuid).c_str());
  EXPECT_EQ(groups_.ReadMediatedPath(kMadeUp, std::span(path).first(20)), "");
  EXPECT_EQ(groups_.ReadMediatedPath(kMadeUp + 1, path), "");
}

TEST_F(GroupsTest, ANodeIsFoundWithoutReadingItsGroup) {
  tree_.AddDevice(7, kBridge, "0x060400");
  tree_.AddDevice(7, kNvme, "0x010802");
  tree_.AddDevice(8, kNetwork, "0x020000");
  tree_.BindVfio(kNvme, 3);
  tree_.AddMediated(kUuid, 5);
  GroupNode node;
  ASSERT_TRUE(groups_.Find(7, node));
  EXPECT_EQ(node.number, 7u);
  EXPECT_EQ(node.cdev, 3u);
  EXPECT_STREQ(node.name, kNvme);
  EXPECT_FALSE(node.is_noiommu);
  ASSERT_TRUE(groups_.Find(kMadeUp, node));
  EXPECT_EQ(node.number, kMadeUp);
  EXPECT_EQ(node.cdev, 5u);
  EXPECT_FALSE(groups_.IsCurrent(node)) << "finding it costs no more";
  EXPECT_FALSE(groups_.Find(8, node));
  EXPECT_FALSE(groups_.Find(9, node));
}

TEST_F(GroupsTest, WhatWasFoundIsCurrentUntilAnythingAboutItChanges) {
  tree_.AddDevice(7, kNvme, "0x010802");
  tree_.BindVfio(kNvme, 3);
  tree_.AddDevice(8, kNetwork, "0x020000");
  GroupNode node;
  ASSERT_TRUE(groups_.Find(7, node));
  EXPECT_TRUE(groups_.IsCurrent(node));
  tree_.Unbind(kNvme);
  EXPECT_FALSE(groups_.IsCurrent(node));
  tree_.BindVfio(kNetwork, 3);
  EXPECT_FALSE(groups_.IsCurrent(node)) << "the number is another group's now";
  tree_.Unbind(kNetwork);
  tree_.BindVfio(kNvme, 3);
  EXPECT_TRUE(groups_.IsCurrent(node));
  tree_.Remove(FakeTree::DevicePath(kNvme) + "/vfio-dev/vfio3/dev");
  EXPECT_FALSE(groups_.IsCurrent(node)) << "it could be noiommu";
}

TEST_F(GroupsTest, NamesThatAreNoNumbersAreNoGroups) {
  tree_.MakeDirectory("/sys/kernel/iommu_groups/07/devices");
  tree_.MakeDirectory("/sys/kernel/iommu_groups/x/devices");
  EXPECT_EQ(groups_.AllNumbers(), Numbers{});
}

TEST(RealGroupsTest, TheMachinesOwnGroupsAreRead) {
  const Groups groups;
  const Numbers all = groups.AllNumbers();
  for (const uint32_t number : groups.Numbers()) {
    Group group;
    EXPECT_TRUE(std::ranges::count(all, number) == 1);
    EXPECT_TRUE(groups.ReadAny(number, group));
    EXPECT_FALSE(group.devices.empty());
  }
}

}  // namespace
}  // namespace compat::sysfs
