#include "ioas/base/radix_tree.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace ioas {
namespace {

struct Leaf {
  uint32_t element[8];
};
using Tree = RadixTree<Leaf, 3, 2>;

class RadixTreeTest : public testing::Test {
 protected:
  static constexpr uint64_t kLast = 8 * 4 * 4 - 1;

  RadixTreeTest()
      : fd_(memfd_create("arena", MFD_CLOEXEC)),
        arena_(*Arena::Map(fd_, 1 << 20)),
        before_(arena_.bytes_in_use()) {}
  ~RadixTreeTest() override { close(fd_); }

  Tree tree() { return Tree(arena_, root_, Tree::HeightFor(kLast)); }
  uint64_t ReachOf(uint64_t index) {
    uint64_t reach = 0;
    EXPECT_EQ(tree().Find(index, &reach), nullptr);
    return reach;
  }

  int fd_;
  Arena arena_;
  size_t before_;
  uint32_t root_ = 0;
};

TEST_F(RadixTreeTest, IsAsHighAsItsLastElementNeeds) {
  EXPECT_EQ(Tree::HeightFor(0), 0u);
  EXPECT_EQ(Tree::HeightFor(7), 0u);
  EXPECT_EQ(Tree::HeightFor(8), 1u);
  EXPECT_EQ(Tree::HeightFor(31), 1u);
  EXPECT_EQ(Tree::HeightFor(32), 2u);
  EXPECT_EQ(Tree::HeightFor(UINT64_MAX), 31u);
}

TEST_F(RadixTreeTest, WhatIsNotThereSaysHowFarNothingIs) {
  EXPECT_EQ(ReachOf(5), UINT64_MAX - 5);
  ASSERT_NE(tree().FindOrMake(40), nullptr);
  EXPECT_EQ(ReachOf(0), 32u);
  EXPECT_EQ(ReachOf(33), 7u);
  EXPECT_EQ(ReachOf(50), 6u);
  EXPECT_EQ(ReachOf(70), 26u);
  uint64_t reach = 0;
  EXPECT_EQ(tree().Find(47, &reach), tree().FindOrMake(40));
}

TEST_F(RadixTreeTest, FreesWhatIsNotKept) {
  for (const uint64_t index : {0, 8, 40, 127}) ASSERT_NE(tree().FindOrMake(index), nullptr);
  tree().Free(8, 100, [](uint64_t first, uint64_t last) {
    EXPECT_EQ(last, first + 7);
    return first == 40;
  });
  uint64_t reach = 0;
  EXPECT_NE(tree().Find(0, &reach), nullptr);
  EXPECT_EQ(ReachOf(8), 8u);
  EXPECT_NE(tree().Find(40, &reach), nullptr);
  EXPECT_NE(tree().Find(127, &reach), nullptr);
  tree().Free(0, UINT64_MAX, [](uint64_t, uint64_t) { return false; });
  EXPECT_EQ(root_, 0u);
  EXPECT_EQ(arena_.bytes_in_use(), before_);
}

TEST_F(RadixTreeTest, AFullArenaIsNoLeaf) {
  while (arena_.Allocate(4096).ok()) {
  }
  while (arena_.Allocate(sizeof(Leaf)).ok()) {
  }
  EXPECT_EQ(tree().FindOrMake(0), nullptr);
}

}  // namespace
}  // namespace ioas
