#include "compat/sysfs/files.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "compat/sysfs/fake_tree.h"

namespace compat::sysfs {
namespace {

class FilesTest : public testing::Test {
 protected:
  Path In(const char* path) const { return Path("%s%s", tree_.root(), path); }

  FakeTree tree_;
};

TEST_F(FilesTest, ReadsTheFirstLineAsFarAsItFits) {
  tree_.Write("/sys/two", "first\nsecond\n");
  tree_.Write("/sys/bare", "first");
  tree_.Write("/sys/empty", "");
  char out[16];
  EXPECT_EQ(ReadLine(In("/sys/two"), out), "first");
  EXPECT_STREQ(out, "first");
  EXPECT_EQ(ReadLine(In("/sys/bare"), out), "first");
  EXPECT_EQ(ReadLine(In("/sys/empty"), out), "");
  EXPECT_EQ(ReadLine(In("/sys/missing"), out), "");
  EXPECT_EQ(ReadLine(In("/sys"), out), "");
  EXPECT_EQ(ReadLine(In("/sys/two"), std::span(out).first(4)), "fir");
}

TEST_F(FilesTest, LinksAreReadForTheNameThatTheyLeadTo) {
  tree_.Link("/sys/driver", "../../bus/pci/drivers/nvme");
  tree_.Link("/sys/plain", "nvme");
  tree_.Write("/sys/file", "");
  char out[8];
  EXPECT_EQ(ReadLinkName(In("/sys/driver"), out), "nvme");
  EXPECT_STREQ(out, "nvme");
  EXPECT_EQ(ReadLinkName(In("/sys/plain"), out), "nvme");
  char whole[32];
  EXPECT_EQ(ReadLink(In("/sys/driver"), whole), "../../bus/pci/drivers/nvme");
  EXPECT_STREQ(whole, "../../bus/pci/drivers/nvme");
  EXPECT_EQ(ReadLink(In("/sys/driver"), out), "");
  EXPECT_EQ(ReadLink(In("/sys/missing"), out), "");
  EXPECT_EQ(ReadLinkName(In("/sys/driver"), std::span(out).first(4)), "");
  EXPECT_STREQ(out, "");
  EXPECT_EQ(ReadLinkName(In("/sys/file"), out), "");
  EXPECT_EQ(ReadLinkName(In("/sys/missing"), out), "");
}

TEST_F(FilesTest, DirectoriesOfAnySizeAreReadToTheirEnd) {
  std::set<std::string> expected;
  for (int i = 0; i < 500; ++i) {
    expected.insert("a_rather_long_name_" + std::to_string(i));
    tree_.Write("/sys/many/a_rather_long_name_" + std::to_string(i), "");
  }
  std::set<std::string> names;
  Directory directory(In("/sys/many"));
  while (const char* const name = directory.Next()) EXPECT_TRUE(names.insert(name).second);
  EXPECT_EQ(names, expected);
  EXPECT_EQ(directory.Next(), nullptr);
}

TEST_F(FilesTest, WhatIsNoDirectoryHasNoNames) {
  tree_.Write("/sys/file", "");
  EXPECT_EQ(Directory(In("/sys/file")).Next(), nullptr);
  EXPECT_EQ(Directory(In("/sys/missing")).Next(), nullptr);
}

TEST_F(FilesTest, APathThatDoesNotFitLeadsNowhere) {
  const Path path("%s/%s", tree_.root(), std::string(PATH_MAX, 'x').c_str());
  EXPECT_STREQ(path.c_str(), "");
  EXPECT_FALSE(Exists(path));
  EXPECT_TRUE(Exists(Path("%s", tree_.root())));
}

TEST(ParseNumberTest, TakesWhatTheKernelWritesOnly) {
  EXPECT_EQ(ParseNumber("0"), 0u);
  EXPECT_EQ(ParseNumber("4294967295"), UINT32_MAX);
  for (const char* text : {"", "-1", "+1", "07", "1x", " 1", "4294967296"}) {
    EXPECT_EQ(ParseNumber(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace compat::sysfs
