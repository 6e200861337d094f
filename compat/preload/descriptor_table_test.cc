#include "compat/preload/descriptor_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace compat::preload {
namespace {

TEST(DescriptorTableTest, ForeignDescriptorsHaveNoSlot) {
  EXPECT_EQ(SlotOf(0), 0u);
  EXPECT_EQ(SlotOf(-1), 0u);
  EXPECT_EQ(SlotOf(static_cast<int>(kMaxDescriptors) + 5), 0u);
}

TEST(DescriptorTableTest, NumbersBeyondTheTableAreRefused) {
  EXPECT_FALSE(SetSlot(-1, 7));
  EXPECT_FALSE(SetSlot(kMaxDescriptors, 7));
  EXPECT_FALSE(SetSlot(kMaxDescriptors - 1, 7));
  EXPECT_EQ(SlotOf(-1), 0u);
}

TEST(DescriptorTableTest, WalkFindsOwnDescriptorsOfARange) {
  ASSERT_TRUE(SetSlot(20, 1));
  ASSERT_TRUE(SetSlot(30, 2));
  ASSERT_TRUE(SetSlot(40, 3));
  std::vector<int> found;
  ForEachDescriptor(25, ~0u, [&](int fd) { found.push_back(fd); });
  EXPECT_EQ(found, (std::vector<int>{30, 40}));
  for (const int fd : {20, 30, 40}) SetSlot(fd, 0);
}

}  // namespace
}  // namespace compat::preload
