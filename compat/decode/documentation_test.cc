#include "compat/decode/documentation.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace compat::decode {
namespace {

TEST(DocumentationTest, TheDocumentInTheTreeIsWhatTheRowsRender) {
  std::ifstream file("docs/calls.md");
  ASSERT_TRUE(file.is_open()) << "run in the project's root";
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), CallsAsMarkdown());
}

TEST(DocumentationTest, ContainerTypesAreNamedOnlyWhereTheyMatter) {
  EXPECT_EQ(WhereValid(CallsNamed("VFIO_GET_API_VERSION")[0]), "container, iommufd");
  EXPECT_EQ(WhereValid(CallsNamed("VFIO_IOMMU_DIRTY_PAGES")[0]), "container (type1, type1v2)");
}

TEST(DocumentationTest, SizesAndFlagsAreReadable) {
  const CallRow& info = CallsNamed("VFIO_DEVICE_GET_INFO")[0];
  EXPECT_EQ(ArgumentText(info), "16 of 24 bytes");
  EXPECT_EQ(FlagsText(info), "any");
  EXPECT_EQ(FlagsText(CallsNamed("VFIO_IOMMU_MAP_DMA")[0]), "0x7");
  EXPECT_EQ(FlagsText(CallsNamed("VFIO_DEVICE_PCI_HOT_RESET")[0]), "none");
  EXPECT_EQ(FlagsText(CallsNamed("VFIO_SET_IOMMU")[0]), "-");
}

}  // namespace
}  // namespace compat::decode

// With --print, writes the document instead of testing it.
int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--print") == 0) {
    std::fputs(compat::decode::CallsAsMarkdown().c_str(), stdout);
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
