#include "compat/vfs/view.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <string>
#include <vector>

#include "compat/vfs/fake_inventory.h"
#include "compat/vfs/lookup.h"

namespace compat::vfs {
namespace {

class ViewTest : public ::testing::Test {
 protected:
  NodeId Find(const std::string& path) {
    Resolution result;
    Lookup(view_, View::Root(), path, false, &result);
    return result.node;
  }

  std::string Content(const std::string& path) {
    char out[kMaxContent];
    return {out, view_.Content(Find(path), out)};
  }

  std::string Target(const std::string& path) {
    char out[PATH_MAX];
    return {out, view_.LinkTarget(Find(path), out)};
  }

  std::set<std::string> List(const std::string& path) {
    std::set<std::string> names;
    uint64_t cursor = 0;
    Entry entry;
    while (view_.List(Find(path), &cursor, &entry)) {
      EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " is listed twice";
    }
    return names;
  }

  // Every node of the view.
  std::vector<NodeId> AllNodes() {
    std::vector<NodeId> nodes = {View::Root()};
    for (size_t next = 0; next < nodes.size(); ++next) {
      if (view_.Kind(nodes[next]) != NodeKind::kDirectory) continue;
      uint64_t cursor = 0;
      Entry entry;
      while (view_.List(nodes[next], &cursor, &entry)) nodes.push_back(entry.id);
    }
    return nodes;
  }

  FakeInventory inventory_;
  View view_{inventory_};
};

TEST_F(ViewTest, EveryNodeIsFoundByItsPathAndHasItsDirectoryAsParent) {
  std::set<uint64_t> inodes;
  for (const NodeId node : AllNodes()) {
    char path[PATH_MAX];
    view_.Path(node, path);
    EXPECT_EQ(Find(path), node) << path;
    EXPECT_LT(node, 1U << kNodeIdBits);
    EXPECT_TRUE(inodes.insert(view_.Describe(node).inode).second) << path;
    const std::string parent = std::string(path).substr(0, std::string(path).rfind('/'));
    EXPECT_EQ(Find(parent.empty() ? "/" : parent), view_.Parent(node)) << path;
  }
}

TEST_F(ViewTest, EveryLinkLeadsToADirectoryOfTheView) {
  for (const NodeId node : AllNodes()) {
    if (view_.Kind(node) != NodeKind::kLink) continue;
    char path[PATH_MAX];
    view_.Path(node, path);
    Resolution result;
    Lookup(view_, View::Root(), path, true, &result);
    EXPECT_EQ(view_.Kind(result.node), NodeKind::kDirectory) << path;
  }
}

TEST_F(ViewTest, DeviceDirectoryListsTheContainerAndEachGroupOnce) {
  EXPECT_EQ(List("/dev/vfio"), (std::set<std::string>{"vfio", "7", "12", "devices"}));
  EXPECT_TRUE(List("/dev").count("iommu"));
}

TEST_F(ViewTest, GroupsListTheirOwnDevicesOnly) {
  EXPECT_EQ(List("/sys/kernel/iommu_groups"), (std::set<std::string>{"7", "12"}));
  EXPECT_EQ(List("/sys/kernel/iommu_groups/7/devices"),
            (std::set<std::string>{"0000:00:05.0", "0000:00:1f.7"}));
  EXPECT_EQ(List("/sys/kernel/iommu_groups/12/devices"), std::set<std::string>{"10000:a0:00.0"});
}

TEST_F(ViewTest, BusesListTheirOwnDevicesOnly) {
  EXPECT_EQ(List("/sys/devices"), (std::set<std::string>{"pci0000:00", "pci10000:a0"}));
  EXPECT_EQ(List("/sys/devices/pci10000:a0"), std::set<std::string>{"10000:a0:00.0"});
  EXPECT_EQ(List("/sys/bus/pci/devices"),
            (std::set<std::string>{"0000:00:05.0", "0000:00:1f.7", "10000:a0:00.0"}));
}

TEST_F(ViewTest, LinksReadAsTheKernelsDo) {
  EXPECT_EQ(Target("/sys/bus/pci/devices/0000:00:05.0"),
            "../../../devices/pci0000:00/0000:00:05.0");
  EXPECT_EQ(Target("/sys/kernel/iommu_groups/12/devices/10000:a0:00.0"),
            "../../../../devices/pci10000:a0/10000:a0:00.0");
  EXPECT_EQ(Target("/sys/devices/pci0000:00/0000:00:1f.7/iommu_group"),
            "../../../kernel/iommu_groups/7");
  EXPECT_EQ(Target("/sys/devices/pci0000:00/0000:00:1f.7/driver"),
            "../../../bus/pci/drivers/vfio-pci");
}

TEST_F(ViewTest, AttributesReadAsTheKernelsDo) {
  const std::string nvme = "/sys/devices/pci0000:00/0000:00:05.0/";
  EXPECT_EQ(Content(nvme + "vendor"), "0x1b36\n");
  EXPECT_EQ(Content(nvme + "device"), "0x0010\n");
  EXPECT_EQ(Content(nvme + "subsystem_vendor"), "0x1af4\n");
  EXPECT_EQ(Content(nvme + "subsystem_device"), "0x1100\n");
  EXPECT_EQ(Content(nvme + "class"), "0x010802\n");
  EXPECT_EQ(Content(nvme + "revision"), "0x02\n");
  EXPECT_EQ(Content(nvme + "numa_node"), "-1\n");
  EXPECT_EQ(Content(nvme + "modalias"), "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02\n");
  EXPECT_EQ(Content(nvme + "uevent"),
            "DRIVER=vfio-pci\nPCI_CLASS=10802\nPCI_ID=1B36:0010\nPCI_SUBSYS_ID=1AF4:1100\n"
            "PCI_SLOT_NAME=0000:00:05.0\n"
            "MODALIAS=pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02\n");
  EXPECT_EQ(Content("/sys/kernel/iommu_groups/7/reserved_regions"),
            "0x00000000fee00000 0x00000000feefffff msi\n");
  EXPECT_EQ(Content("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"), "N\n");
}

TEST_F(ViewTest, ConfigHasTheSizeOfTheDevicesSpace) {
  EXPECT_EQ(Content("/sys/devices/pci0000:00/0000:00:1f.7/config").size(), 256U);
  EXPECT_EQ(Content("/sys/devices/pci0000:00/0000:00:1f.7/config").substr(0, 4),
            "\x86\x80\xd3\x10");
  EXPECT_EQ(view_.Describe(Find("/sys/devices/pci10000:a0/10000:a0:00.0/config")).size, 4096U);
}

TEST_F(ViewTest, ResourceHasThirteenLinesAndNoOverlaps) {
  struct Range {
    unsigned long long first, last, flags;
  };
  std::vector<Range> ranges;
  for (const char* device :
       {"pci0000:00/0000:00:05.0", "pci0000:00/0000:00:1f.7", "pci10000:a0/10000:a0:00.0"}) {
    const std::string content = Content(std::string("/sys/devices/") + device + "/resource");
    EXPECT_EQ(content.size(), 13U * (3 * 19));
    for (size_t line = 0; line < content.size(); line += 3 * 19) {
      Range range{};
      ASSERT_EQ(sscanf(&content[line], "%llx %llx %llx\n", &range.first, &range.last, &range.flags),
                3);
      if (range.flags != 0) ranges.push_back(range);
    }
  }
  ASSERT_EQ(ranges.size(), 5U);
  EXPECT_EQ(ranges[0].flags, 0x140204U);
  EXPECT_EQ(ranges[0].last - ranges[0].first, 0x3fffU);
  EXPECT_EQ(ranges[1].flags, 0x40200U);
  for (const Range& range : ranges) {
    EXPECT_EQ(range.first & (range.last - range.first), 0U) << "naturally aligned";
    for (const Range& other : ranges) {
      EXPECT_TRUE(&range == &other || range.last < other.first || other.last < range.first);
    }
  }
}

TEST_F(ViewTest, NodesDescribeThemselves) {
  const Node container = view_.Describe(Find("/dev/vfio/vfio"));
  EXPECT_EQ(container.mode, static_cast<uint32_t>(S_IFCHR | 0666));
  EXPECT_EQ(container.major, 10U);
  EXPECT_EQ(container.minor, 196U);
  const Node group = view_.Describe(Find("/dev/vfio/12"));
  EXPECT_EQ(group.mode, static_cast<uint32_t>(S_IFCHR | 0600));
  EXPECT_EQ(group.group, 12U);
  EXPECT_NE(group.minor, view_.Describe(Find("/dev/vfio/7")).minor);
  EXPECT_EQ(view_.Describe(Find("/sys/kernel/iommu_groups/7")).links, 3U);
  EXPECT_FALSE(view_.Describe(Find("/sys/kernel/iommu_groups/7")).merged);
  EXPECT_TRUE(view_.Describe(Find("/sys/kernel/iommu_groups")).merged);
}

TEST(ViewWithoutDevicesTest, HasTheContainerAndNoDevices) {
  class : public Inventory {
    size_t device_count() const override { return 0; }
    DeviceView device(size_t) const override { return {}; }
    size_t ReadConfig(size_t, std::span<std::byte>) const override { return 0; }
  } empty;
  const View view(empty);
  Resolution result;
  Lookup(view, View::Root(), "/dev/vfio", true, &result);
  uint64_t cursor = 0;
  Entry entry;
  for (const char* name : {"devices", "vfio"}) {
    ASSERT_TRUE(view.List(result.node, &cursor, &entry));
    EXPECT_STREQ(entry.name, name);
  }
  EXPECT_FALSE(view.List(result.node, &cursor, &entry));
}

}  // namespace
}  // namespace compat::vfs
