#include "tools/cli/iommu_node.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compat/sysfs/fake_tree.h"

namespace tools::cli {
namespace {

TEST(IommuNodeTest, OneThatOpensNeedsNoRemedy) {
  const compat::sysfs::FakeTree tree;
  tree.Write("/dev/iommu", "");
  const IommuNode node = TryIommuNode(tree.root());
  EXPECT_TRUE(node.opens);
  EXPECT_EQ(node.remedy, "");
}

TEST(IommuNodeTest, AMissingOneIsTheKernels) {
  const compat::sysfs::FakeTree tree;
  const IommuNode node = TryIommuNode(tree.root());
  EXPECT_FALSE(node.opens);
  EXPECT_NE(node.finding.find("No such file"), std::string::npos);
  EXPECT_NE(node.remedy.find("modprobe iommufd"), std::string::npos);
}

TEST(IommuNodeTest, AForbiddenOneIsAMatterOfPermissions) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can take another user's place";
  const compat::sysfs::FakeTree tree;
  tree.Write("/dev/iommu", "");
  ASSERT_EQ(chmod(tree.root(), 0755), 0);
  ASSERT_EQ(chmod((tree.root() + std::string("/dev/iommu")).c_str(), 0600), 0);
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(seteuid(kNobody), 0);
  const IommuNode node = TryIommuNode(tree.root());
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_FALSE(node.opens);
  EXPECT_NE(node.finding.find("Permission denied"), std::string::npos);
  EXPECT_NE(node.remedy.find("chgrp"), std::string::npos);
}

}  // namespace
}  // namespace tools::cli
