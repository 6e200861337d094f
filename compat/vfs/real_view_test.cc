// The view of groups that the machine has.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compat/vfs/lookup.h"
#include "compat/vfs/view.h"

namespace compat::vfs {
namespace {

constexpr char kUuid[] = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
constexpr char kOther[] = "a297db4a-f4c2-11e6-90f6-d3b88d6c9525";

class FakeGroups : public Inventory, private RealGroups {
 public:
  const RealGroups* real_groups() const override { return this; }
  size_t device_count() const override { return 0; }
  DeviceView device(size_t /*index*/) const override { return {}; }
  size_t ReadConfig(size_t /*index*/, std::span<std::byte> /*data*/) const override { return 0; }

  bool has_containers = true;
  std::vector<GroupView> groups = {{7, false}, {12, true}, {40, false}, {kMaxGroups + 1, false}};
  std::map<uint32_t, std::string> mediated;  // paths by numbers

  void AddMediated(uint32_t number, const std::string& path) {
    groups.insert(groups.end() - 1, {number, false});
    mediated[number] = path;
  }

 private:
  bool Next(uint32_t first, GroupView* group) const override {
    for (const GroupView& each : groups) {
      if (each.number < first) continue;
      *group = each;
      return true;
    }
    return false;
  }
  bool Find(uint32_t number, GroupView* group) const override {
    return Next(number, group) && group->number == number;
  }
  bool FindMediated(std::string_view name, uint32_t* number) const override {
    for (const auto& [group, path] : mediated) {
      *number = group;
      if (path.ends_with("/" + std::string(name))) return true;
    }
    return false;
  }
  void MediatedPath(uint32_t number, std::span<char> out) const override {
    const auto found = mediated.find(number);
    std::snprintf(out.data(), out.size(), "%s",
                  found != mediated.end() ? found->second.c_str() : "");
  }
  bool HasContainers() const override { return has_containers; }
  void ContainerFile(std::span<char> out) const override {
    std::snprintf(out.data(), out.size(), "/dev/iommu");
  }
  void GroupFile(uint32_t number, std::span<char> out) const override {
    if (number != 12) std::snprintf(out.data(), out.size(), "/cdev/%u", number);
  }
};

class RealViewTest : public testing::Test {
 protected:
  NodeId Find(const std::string& path) {
    Lookup(view_, View::Root(), path, true, &result_);
    return result_.node;
  }

  std::set<std::string> List(const std::string& path) {
    std::set<std::string> names;
    uint64_t cursor = 0;
    Entry entry;
    while (view_.List(Find(path), &cursor, &entry)) {
      EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " is listed twice";
      EXPECT_EQ(view_.Child(Find(path), entry.name), entry.id) << entry.name;
    }
    return names;
  }

  // Without following a link at the end.
  NodeId FindLink(const std::string& path) {
    Lookup(view_, View::Root(), path, false, &result_);
    return result_.node;
  }

  std::string Target(const std::string& path) {
    char out[kMaxNodePath];
    const NodeId node = FindLink(path);
    return view_.Kind(node) == NodeKind::kLink ? std::string(out, view_.LinkTarget(node, out)) : "";
  }

  std::string Content(const std::string& path) {
    char content[kMaxContent];
    return {content, view_.Content(Find(path), content)};
  }

  void AddMediated() {
    inventory_.AddMediated(kFirstMadeUpGroup + 5, std::string("virtual/mtty/mtty/") + kUuid);
    inventory_.AddMediated(kFirstMadeUpGroup + 8, std::string("pci0000:00/0000:00:02.0/") + kOther);
  }

  std::string RealFile(const std::string& path) {
    char out[PATH_MAX];
    return view_.RealFile(Find(path), out) ? out : "none";
  }

  FakeGroups inventory_;
  View view_{inventory_};
  Resolution result_;
};

TEST_F(RealViewTest, ListsTheContainerAndGroupsByTheirNames) {
  EXPECT_EQ(List("/dev/vfio"), (std::set<std::string>{"vfio", "7", "noiommu-12", "40"}));
  EXPECT_TRUE(view_.IsMerged(Find("/dev/vfio")));
}

TEST_F(RealViewTest, GroupsAreFoundByTheirExactNamesOnly) {
  const Node group = view_.Describe(Find("/dev/vfio/7"));
  EXPECT_EQ(group.kind, NodeKind::kGroup);
  EXPECT_EQ(group.mode, static_cast<uint32_t>(S_IFCHR | 0600));
  EXPECT_EQ(group.group, 7u);
  EXPECT_EQ(group.major, kGroupMajor);
  EXPECT_EQ(group.minor, 7u);
  EXPECT_EQ(view_.Describe(Find("/dev/vfio/noiommu-12")).group, 12u);
  for (const char* name : {"12", "noiommu-7", "07", "7x", "8", "noiommu-", "1048577", "devices"}) {
    EXPECT_EQ(Find(std::string("/dev/vfio/") + name), kNoNode) << name;
    EXPECT_TRUE(result_.elsewhere()) << name;
  }
}

TEST_F(RealViewTest, NumbersOfNodesOutliveHotplug) {
  const NodeId node = Find("/dev/vfio/40");
  const uint64_t inode = view_.Describe(node).inode;
  inventory_.groups = {{3, false}, {40, false}};
  EXPECT_EQ(Find("/dev/vfio/40"), node);
  EXPECT_EQ(view_.Describe(node).inode, inode);
  EXPECT_EQ(List("/dev/vfio"), (std::set<std::string>{"vfio", "3", "40"}));
  inventory_.groups.clear();
  char path[PATH_MAX];
  view_.Path(node, path);
  EXPECT_STREQ(path, "/dev/vfio/40");
}

TEST_F(RealViewTest, SysfsIsTheRealOneButForWhatKernelsWithoutGroupsLack) {
  EXPECT_EQ(List("/sys"), (std::set<std::string>{"bus", "devices", "kernel", "module"}));
  for (const char* directory : {"/sys/bus", "/sys/devices", "/sys/kernel/iommu_groups"}) {
    EXPECT_EQ(List(directory), std::set<std::string>{}) << directory;
    EXPECT_TRUE(view_.IsMerged(Find(directory))) << directory;
  }
  EXPECT_EQ(List("/sys/module"), (std::set<std::string>{"vfio", "vfio_iommu_type1"}));
  const NodeId parameter = Find("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
  EXPECT_TRUE(view_.IsMerged(parameter)) << "a real one is better";
  char content[kMaxContent];
  EXPECT_EQ(std::string(content, view_.Content(parameter, content)), "N\n");
  EXPECT_EQ(Find("/sys/kernel/iommu_groups/7"), kNoNode);
  EXPECT_TRUE(result_.elsewhere());
}

TEST_F(RealViewTest, NodesHavePermissionsOfWhatIsOpenedInTheirPlace) {
  EXPECT_EQ(RealFile("/dev/vfio/vfio"), "/dev/iommu");
  EXPECT_EQ(RealFile("/dev/vfio/7"), "/cdev/7");
  EXPECT_EQ(RealFile("/dev/vfio/noiommu-12"), "none");
  EXPECT_EQ(RealFile("/dev/vfio"), "none");
}

TEST_F(RealViewTest, AMediatedDeviceHasTheGroupThatIsMadeUpForIt) {
  AddMediated();
  EXPECT_EQ(view_.Describe(Find("/dev/vfio/524293")).group, kFirstMadeUpGroup + 5);
  EXPECT_TRUE(List("/dev/vfio").contains("524296"));
  const std::string by_bus = std::string("/sys/bus/mdev/devices/") + kUuid;
  const std::string own = std::string("/sys/devices/virtual/mtty/mtty/") + kUuid;
  EXPECT_EQ(Target(by_bus + "/iommu_group"), "../../../../../kernel/iommu_groups/524293");
  EXPECT_EQ(Target(own + "/iommu_group"), "../../../../../kernel/iommu_groups/524293");
  EXPECT_EQ(Target(std::string("/sys/devices/pci0000:00/0000:00:02.0/") + kOther + "/iommu_group"),
            "../../../../kernel/iommu_groups/524296");
  EXPECT_EQ(List(own), std::set<std::string>{"iommu_group"});
  EXPECT_TRUE(view_.IsMerged(Find(own)));
}

TEST_F(RealViewTest, MadeUpGroupsAreInSysfsAsTheKernelsWouldBe) {
  AddMediated();
  EXPECT_EQ(List("/sys/kernel/iommu_groups"), (std::set<std::string>{"524293", "524296"}));
  const std::string group = "/sys/kernel/iommu_groups/524293";
  EXPECT_FALSE(view_.IsMerged(Find(group)));
  EXPECT_EQ(List(group), (std::set<std::string>{"devices", "name", "reserved_regions", "type"}));
  EXPECT_EQ(Content(group + "/name"), "vfio-noiommu\n");
  EXPECT_EQ(Content(group + "/type"), "unknown\n");
  EXPECT_EQ(List(group + "/devices"), std::set<std::string>{kUuid});
  EXPECT_EQ(Target(group + "/devices/" + kUuid),
            std::string("../../../../devices/virtual/mtty/mtty/") + kUuid);
  EXPECT_EQ(FindLink(group + "/devices/" + kOther), kNoNode);
  EXPECT_EQ(result_.error, ENOENT);
}

TEST_F(RealViewTest, AllWaysToAMediatedDeviceAndItsGroupMeet) {
  AddMediated();
  const std::string by_bus = std::string("/sys/bus/mdev/devices/") + kUuid;
  const NodeId device = Find(by_bus);
  EXPECT_EQ(std::string(result_.path), std::string("/sys/devices/virtual/mtty/mtty/") + kUuid);
  EXPECT_TRUE(result_.followed_link);
  EXPECT_EQ(Find(result_.path), device);
  EXPECT_EQ(Find(std::string("/sys/kernel/iommu_groups/524293/devices/") + kUuid), device);
  EXPECT_EQ(Find(by_bus + "/iommu_group"), Find("/sys/kernel/iommu_groups/524293"));
  EXPECT_EQ(Find(by_bus + "/iommu_group/devices/" + kUuid + "/iommu_group"),
            Find("/sys/kernel/iommu_groups/524293"));
  EXPECT_EQ(List("/sys/bus/mdev/devices"), (std::set<std::string>{kUuid, kOther}));
}

TEST_F(RealViewTest, WhatIsAroundAMediatedDeviceIsTheRealFileSystems) {
  AddMediated();
  const std::string own = std::string("/sys/devices/virtual/mtty/mtty/") + kUuid;
  for (const std::string& path :
       {own + "/mdev_type", own + "x", own + "/x/iommu_group",
        std::string("/sys/devices/virtual/mtty/mtty"), std::string("/sys/devices/virtual/") + kUuid,
        std::string("/sys/bus/mdev/devices/00000000-0000-0000-0000-000000000000")}) {
    EXPECT_EQ(Find(path), kNoNode) << path;
    EXPECT_TRUE(result_.elsewhere()) << path;
    EXPECT_EQ(result_.path, path);
    EXPECT_FALSE(result_.followed_link) << path;
  }
}

TEST_F(RealViewTest, TheWayUpFromAMediatedDeviceIsThatOfItsOwnDirectory) {
  AddMediated();
  const std::string by_bus = std::string("/sys/bus/mdev/devices/") + kUuid;
  EXPECT_EQ(Find(by_bus + "/../power"), kNoNode);
  EXPECT_STREQ(result_.path, "/sys/devices/virtual/mtty/mtty/power");
  EXPECT_TRUE(result_.followed_link);
  EXPECT_EQ(Find(by_bus + "//.././..//"), kNoNode);
  EXPECT_STREQ(result_.path, "/sys/devices/virtual/mtty/mtty/./..//");
  EXPECT_EQ(Find(by_bus + "/.."), kNoNode);
  EXPECT_STREQ(result_.path, "/sys/devices/virtual/mtty/mtty");
  EXPECT_EQ(Find(by_bus + "/../../../.."), Find("/sys/devices"));
  EXPECT_EQ(Find(by_bus + "/../../../../../bus"), Find("/sys/bus"));
}

TEST_F(RealViewTest, WithoutMediatedDevicesTheirBusIsNotShown) {
  EXPECT_EQ(Find("/sys/bus/mdev"), kNoNode);
  EXPECT_TRUE(result_.elsewhere());
  AddMediated();
  EXPECT_EQ(List("/sys/bus"), std::set<std::string>{"mdev"});
}

TEST_F(RealViewTest, WithoutIommufdThereIsNoContainer) {
  inventory_.has_containers = false;
  EXPECT_EQ(Find("/dev/vfio/vfio"), kNoNode);
  EXPECT_TRUE(result_.elsewhere());
  EXPECT_EQ(List("/dev/vfio"), (std::set<std::string>{"7", "noiommu-12", "40"}));
}

}  // namespace
}  // namespace compat::vfs
