// Questions and changes at a Place. That each kind of place is right in a large index is part of
// mapping_index_test.cc.
#include <cstdint>

#include "gtest/gtest.h"
#include "ioas/base/arena.h"
#include "ioas/mapping_index.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;

Mapping Make(uint64_t first, uint64_t last) {
  return {.first = first, .last = last, .user_address = ~first};
}

class MappingIndexPlaceTest : public testing::Test {
 protected:
  void SetUp() override {
    arena_ = *Arena::CreatePrivate(size_t{16} << 20);
    const Result<ArenaRef<MappingIndexState>> state = arena_.New<MappingIndexState>();
    ASSERT_TRUE(state.ok());
    state_ = arena_.Get(*state);
  }
  void TearDown() override { arena_.Unmap(); }

  MappingIndex Index() const { return {arena_, state_}; }

  Arena arena_;
  MappingIndexState* state_ = nullptr;
};

TEST_F(MappingIndexPlaceTest, APlaceTellsWhatCoversItAndWhatIsFreeBehindIt) {
  MappingIndex index = Index();
  EXPECT_FALSE(index.At(index.Find(0)));
  EXPECT_TRUE(index.IsFree(index.Find(0), UINT64_MAX));
  ASSERT_TRUE(index.Insert(Make(0x2000, 0x3fff)).ok());
  for (uint64_t iova : {0x2000, 0x2001, 0x3fff}) {
    EXPECT_EQ(*index.At(index.Find(iova)), Make(0x2000, 0x3fff));
    EXPECT_FALSE(index.IsFree(index.Find(iova), iova));
  }
  EXPECT_FALSE(index.At(index.Find(0x1fff)));
  EXPECT_TRUE(index.IsFree(index.Find(0x1000), 0x1fff));
  EXPECT_FALSE(index.IsFree(index.Find(0x1000), 0x2000));
  EXPECT_FALSE(index.At(index.Find(0x4000)));
  EXPECT_TRUE(index.IsFree(index.Find(0x4000), UINT64_MAX));
}

TEST_F(MappingIndexPlaceTest, APlaceIsWhereToInsertAndToErase) {
  MappingIndex index = Index();
  for (uint64_t i = 0; i < 20000; ++i) {
    const MappingIndex::Place place = index.Find(i * kPage);
    ASSERT_TRUE(index.IsFree(place, i * kPage + kPage - 1));
    ASSERT_TRUE(index.InsertAt(place, Make(i * kPage, i * kPage + kPage - 1)).ok());
  }
  EXPECT_EQ(index.size(), 20000u);
  EXPECT_TRUE(index.Validate());
  // Any address of the mapping leads to it.
  for (uint64_t i = 0; i < 20000; i += 2) index.EraseAt(index.Find(i * kPage + 99));
  EXPECT_EQ(index.size(), 10000u);
  EXPECT_TRUE(index.Validate());
  EXPECT_FALSE(index.FindContaining(0));
  EXPECT_EQ(*index.FindContaining(kPage), Make(kPage, 2 * kPage - 1));
}

}  // namespace
}  // namespace ioas
