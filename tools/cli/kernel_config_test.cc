#include "tools/cli/kernel_config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "compat/sysfs/fake_tree.h"

namespace tools::cli {
namespace {

constexpr char kConfig[] =
    "CONFIG_IOMMUFD=m\n"
    "# CONFIG_VFIO_GROUP is not set\n"
    "CONFIG_VFIO=y\n"
    "CONFIG_VFIO_PCI_CORE=m\n";

class KernelConfigTest : public testing::Test {
 protected:
  void ExpectKnown(const std::string& path) const {
    const KernelConfig config = KernelConfig::Read(tree_.root(), "6.12.1");
    EXPECT_TRUE(config.is_known());
    EXPECT_EQ(config.path(), path);
    EXPECT_EQ(config.Value("CONFIG_IOMMUFD"), OptionValue::kModule);
    EXPECT_EQ(config.Value("CONFIG_VFIO"), OptionValue::kYes);
    EXPECT_EQ(config.Value("CONFIG_VFIO_GROUP"), OptionValue::kNo);
    EXPECT_EQ(config.Value("CONFIG_VFIO_PCI"), OptionValue::kNo);
  }

  compat::sysfs::FakeTree tree_;
};

TEST_F(KernelConfigTest, NothingIsKnownWithoutAFile) {
  tree_.Write("/boot/config-6.12.2", kConfig);
  tree_.Write("/boot/config-6.12.1/a file in a folder", kConfig);
  const KernelConfig config = KernelConfig::Read(tree_.root(), "6.12.1");
  EXPECT_FALSE(config.is_known());
  EXPECT_EQ(config.Value("CONFIG_VFIO"), OptionValue::kUnknown);
}

TEST_F(KernelConfigTest, ReadsTheFileOfItsRelease) {
  tree_.Write("/lib/modules/6.12.1/config", kConfig);
  ExpectKnown("/lib/modules/6.12.1/config");
  tree_.Write("/boot/config-6.12.1", kConfig);
  ExpectKnown("/boot/config-6.12.1");
}

TEST_F(KernelConfigTest, ReadsTheKernelsOwnCompressedOne) {
  tree_.Write("/proc/config", kConfig);
  ASSERT_EQ(std::system((std::string("gzip ") + tree_.root() + "/proc/config").c_str()), 0);
  ExpectKnown("/proc/config.gz");
}

TEST_F(KernelConfigTest, AFolderMayBeNamedAsItLikes) {
  tree_.Write("/it's $(here)/proc/config", kConfig);
  const std::string root = std::string(tree_.root()) + "/it's $(here)";
  ASSERT_EQ(std::system(
                ("gzip \"" + std::string(tree_.root()) + "/it's \\$(here)/proc/config\"").c_str()),
            0);
  EXPECT_EQ(KernelConfig::Read(root, "6.12.1").path(), "/proc/config.gz");
}

}  // namespace
}  // namespace tools::cli
