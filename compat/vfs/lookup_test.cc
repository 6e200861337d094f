#include "compat/vfs/lookup.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "compat/vfs/fake_inventory.h"

namespace compat::vfs {
namespace {

class LookupTest : public ::testing::Test {
 protected:
  const Resolution& Resolve(const std::string& path, bool follow = true,
                            NodeId base = View::Root()) {
    Lookup(view_, base, path, follow, &result_);
    return result_;
  }

  FakeInventory inventory_;
  View view_{inventory_};
  Resolution result_;
};

TEST_F(LookupTest, NormalisesSlashesAndDots) {
  const NodeId vendor = Resolve("/sys/devices/pci0000:00/0000:00:05.0/vendor").node;
  EXPECT_NE(vendor, kNoNode);
  EXPECT_EQ(Resolve("//sys/./devices///pci0000:00/../pci0000:00/0000:00:05.0/./vendor").node,
            vendor);
  EXPECT_EQ(Resolve("/../../sys/devices/pci0000:00/0000:00:05.0/vendor").node, vendor);
}

TEST_F(LookupTest, FollowsLinksOnTheWayAndDotDotFromWhereTheyLead) {
  EXPECT_STREQ(Resolve("/sys/bus/pci/devices/0000:00:05.0/vendor").path,
               "/sys/devices/pci0000:00/0000:00:05.0/vendor");
  EXPECT_TRUE(result_.followed_link);
  EXPECT_STREQ(Resolve("/sys/bus/pci/devices/0000:00:05.0/../0000:00:1f.7").path,
               "/sys/devices/pci0000:00/0000:00:1f.7");
  EXPECT_STREQ(Resolve("/sys/bus/pci/devices/0000:00:05.0/iommu_group/devices/0000:00:1f.7").path,
               "/sys/devices/pci0000:00/0000:00:1f.7");
}

TEST_F(LookupTest, LinkAtTheEndIsFollowedOnDemandOrForASlash) {
  const std::string link = "/sys/bus/pci/devices/0000:00:05.0";
  EXPECT_EQ(view_.Kind(Resolve(link, false).node), NodeKind::kLink);
  EXPECT_EQ(view_.Kind(Resolve(link, true).node), NodeKind::kDirectory);
  EXPECT_EQ(view_.Kind(Resolve(link + "/", false).node), NodeKind::kDirectory);
}

TEST_F(LookupTest, SlashBehindAFileIsNotADirectory) {
  EXPECT_EQ(Resolve("/dev/vfio/vfio/").error, ENOTDIR);
  EXPECT_EQ(Resolve("/dev/vfio/7/x").error, ENOTDIR);
  EXPECT_EQ(Resolve("/sys/kernel/iommu_groups/7/type/..").error, ENOTDIR);
}

TEST_F(LookupTest, WhatADeviceDoesNotHaveIsNowhereElse) {
  EXPECT_EQ(Resolve("/sys/bus/pci/devices/0000:00:05.0/virtio4").error, ENOENT);
  EXPECT_EQ(Resolve("/sys/kernel/iommu_groups/7/name").error, ENOENT);
  EXPECT_EQ(Resolve("").error, ENOENT);
}

TEST_F(LookupTest, WhatTheViewDoesNotKnowIsElsewhere) {
  EXPECT_TRUE(Resolve("/dev/vfio/8").elsewhere());
  EXPECT_STREQ(result_.path, "/dev/vfio/8");
  EXPECT_TRUE(Resolve("/etc//passwd").elsewhere());
  EXPECT_STREQ(result_.path, "/etc//passwd");
  EXPECT_FALSE(result_.followed_link);
  EXPECT_TRUE(Resolve("/dev/vfio/07").elsewhere());
  EXPECT_TRUE(Resolve("/sys/bus/pci/devices/0000:00:5.0").elsewhere());
}

TEST_F(LookupTest, WhatLiesElsewhereBehindALinkGetsAPathThatTheKernelKnows) {
  EXPECT_TRUE(Resolve("/sys/bus/pci/devices/0000:00:05.0/subsystem/slots/../rescan/").elsewhere());
  EXPECT_STREQ(result_.path, "/sys/bus/pci/slots/../rescan/");
  EXPECT_TRUE(result_.followed_link);
}

TEST_F(LookupTest, RelativePathsStartAtTheirDirectory) {
  const NodeId device = Resolve("/sys/bus/pci/devices/0000:00:05.0").node;
  EXPECT_STREQ(Resolve("config", true, device).path, "/sys/devices/pci0000:00/0000:00:05.0/config");
  EXPECT_STREQ(Resolve("../../../kernel/iommu_groups", true, device).path,
               "/sys/kernel/iommu_groups");
  EXPECT_STREQ(Resolve(".", true, device).path, "/sys/devices/pci0000:00/0000:00:05.0");
}

TEST_F(LookupTest, EndlessWalksThroughLinksEnd) {
  std::string path = "/sys/bus/pci/devices/0000:00:05.0";
  for (int i = 0; i < 25; ++i) path += "/iommu_group/devices/0000:00:05.0";
  EXPECT_EQ(Resolve(path).error, ELOOP);
}

TEST_F(LookupTest, PathsThatDoNotFitAreTooLong) {
  EXPECT_EQ(Resolve("/" + std::string(PATH_MAX, 'x')).error, ENAMETOOLONG);
  const std::string link = "/sys/bus/pci/devices/0000:00:05.0/";
  EXPECT_EQ(Resolve(link + std::string(PATH_MAX - link.size() - 1, '/')).error, 0);
  EXPECT_EQ(Resolve(link + std::string(PATH_MAX - link.size(), '/')).error, ENAMETOOLONG);
}

}  // namespace
}  // namespace compat::vfs
