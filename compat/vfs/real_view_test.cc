// The view of groups that the machine has.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "compat/vfs/lookup.h"
#include "compat/vfs/view.h"

namespace compat::vfs {
namespace {

class FakeGroups : public Inventory, private RealGroups {
 public:
  const RealGroups* real_groups() const override { return this; }
  size_t device_count() const override { return 0; }
  DeviceView device(size_t /*index*/) const override { return {}; }
  size_t ReadConfig(size_t /*index*/, std::span<std::byte> /*data*/) const override { return 0; }

  bool has_containers = true;
  std::vector<GroupView> groups = {{7, false}, {12, true}, {40, false}, {kMaxGroups + 1, false}};

 private:
  bool Next(uint32_t first, GroupView* group) const override {
    for (const GroupView& each : groups) {
      if (each.number < first) continue;
      *group = each;
      return true;
    }
    return false;
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
  EXPECT_EQ(List("/sys"), std::set<std::string>{"module"});
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

TEST_F(RealViewTest, WithoutIommufdThereIsNoContainer) {
  inventory_.has_containers = false;
  EXPECT_EQ(Find("/dev/vfio/vfio"), kNoNode);
  EXPECT_TRUE(result_.elsewhere());
  EXPECT_EQ(List("/dev/vfio"), (std::set<std::string>{"7", "noiommu-12", "40"}));
}

}  // namespace
}  // namespace compat::vfs
