// What Validate notices of damage, and what Clear makes of it. The undamaged index is validated all
// over mapping_index_test.cc.
#include <cstdint>
#include <utility>

#include "gtest/gtest.h"
#include "ioas/base/arena.h"
#include "ioas/mapping_index.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;

Mapping Make(uint64_t first, uint64_t last) { return {.first = first, .last = last}; }

class MappingIndexDamageTest : public testing::Test {
 protected:
  void SetUp() override {
    arena_ = *Arena::CreatePrivate(size_t{16} << 20);
    const Result<ArenaRef<MappingIndexState>> state = arena_.New<MappingIndexState>();
    ASSERT_TRUE(state.ok());
    state_ = arena_.Get(*state);
    for (uint64_t i = 0; i < 3000; ++i) {
      ASSERT_TRUE(Index().Insert(Make(i * kPage, i * kPage + 99)).ok());
    }
    ASSERT_TRUE(Index().Validate());
    ASSERT_GE(state_->height, 3u);
  }
  void TearDown() override { arena_.Unmap(); }

  MappingIndex Index() const { return {arena_, state_}; }
  MappingBranch* Root() const { return arena_.Get(ArenaRef<MappingBranch>{state_->root}); }
  MappingLeaf* FirstLeaf() const {
    uint32_t unit = state_->root;
    for (uint32_t level = state_->height; level > 1; --level) {
      unit = arena_.Get(ArenaRef<MappingBranch>{unit})->value[0];
    }
    return arena_.Get(ArenaRef<MappingLeaf>{unit});
  }

  Arena arena_;
  MappingIndexState* state_ = nullptr;
};

TEST_F(MappingIndexDamageTest, KeysOutOfOrderAreNoticed) {
  std::swap(FirstLeaf()->keys[1], FirstLeaf()->keys[2]);
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, OverlappingMappingsAreNoticed) {
  FirstLeaf()->record(1).last = FirstLeaf()->key(2);
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, AMappingThatEndsBeforeItBeginsIsNoticed) {
  FirstLeaf()->record(3).last = FirstLeaf()->key(3) - 1;
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, AMappingInTheWrongLeafIsNoticed) {
  MappingLeaf* leaf = FirstLeaf();
  leaf->record(leaf->count() - 1).last = 2000 * kPage;
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, LostMappingsAreNoticed) {
  MappingLeaf* leaf = FirstLeaf();
  leaf->RemoveAt(0);
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, ImpossibleCountsAreNoticed) {
  const uint64_t head = FirstLeaf()->head;
  for (uint64_t count : {uint64_t{0}, uint64_t{15}, uint64_t{255}}) {
    FirstLeaf()->head = (head & ~uint64_t{255}) | count;
    EXPECT_FALSE(Index().Validate());
  }
  FirstLeaf()->head = head;
  for (uint64_t count : {uint64_t{128}, uint64_t{1000}}) {
    Root()->used = count;
    EXPECT_FALSE(Index().Validate());
  }
}

TEST_F(MappingIndexDamageTest, ValuesOfTwoMappingsInOnePlaceAreNoticed) {
  MappingLeaf* leaf = FirstLeaf();
  const uint64_t head = leaf->head;
  for (const uint64_t other : {head ^ 1 << 8, head | uint64_t{15} << 60, uint64_t{14}}) {
    leaf->head = other;
    EXPECT_FALSE(Index().Validate());
  }
  leaf->head = head;
  EXPECT_TRUE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, ALeafThatWasSearchedAndIsNoneIsNoticed) {
  ASSERT_TRUE(Index().Next(0));
  ASSERT_NE(state_->recent_leaf, 0u);
  ASSERT_TRUE(Index().Validate());
  ++state_->recent_last;
  EXPECT_FALSE(Index().Validate());
  --state_->recent_last;
  state_->recent_leaf = state_->root;
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, ReferencesToOutsideTheArenaAreNoticed) {
  for (uint32_t unit : {0u, 1u, UINT32_MAX, UINT32_MAX / 2}) {
    Root()->value[1] = unit;
    EXPECT_FALSE(Index().Validate());
  }
  state_->root = UINT32_MAX;
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, ANodeThatRefersToItselfIsNoticed) {
  Root()->value[0] = state_->root;
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, AWrongHeightIsNoticed) {
  for (uint32_t height : {0u, 1u, 2u, 4u, UINT32_MAX}) {
    state_->height = height;
    EXPECT_FALSE(Index().Validate()) << height;
  }
}

TEST_F(MappingIndexDamageTest, AChangeLeftUnfinishedIsNoticedForGood) {
  state_->changing = 1;
  EXPECT_FALSE(Index().Validate());
  ASSERT_TRUE(Index().Insert(Make(1u << 30, 1u << 30)).ok());
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, DamageToTheLeafOfAnEmptiedIndexIsNoticed) {
  for (uint64_t i = 0; i < 3000; ++i) ASSERT_TRUE(Index().Erase(i * kPage));
  ASSERT_EQ(state_->height, 1u);
  ASSERT_TRUE(Index().Validate());
  ++FirstLeaf()->head;
  EXPECT_FALSE(Index().Validate());
  --FirstLeaf()->head;
  FirstLeaf()->keys[0] = 0;
  EXPECT_FALSE(Index().Validate());
  state_->root = UINT32_MAX;
  EXPECT_FALSE(Index().Validate());
}

TEST_F(MappingIndexDamageTest, ADamagedIndexStartsAfreshWhenCleared) {
  Root()->value[0] = UINT32_MAX;
  MappingIndex index = Index();
  index.Clear();
  EXPECT_TRUE(index.Validate());
  EXPECT_EQ(index.size(), 0u);
  EXPECT_TRUE(index.Insert(Make(0, UINT64_MAX)).ok());
}

}  // namespace
}  // namespace ioas
