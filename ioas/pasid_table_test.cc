#include "ioas/pasid_table.h"

#include <vector>

#include "gtest/gtest.h"
#include "ioas/base/testing/failing_arena.h"

namespace ioas {
namespace {

class PasidTableTest : public testing::Test {
 protected:
  PasidTableTest() : arena_(*Arena::CreatePrivate(size_t{4} << 20)), table_(arena_, &state_) {}
  ~PasidTableTest() override { arena_.Unmap(); }

  std::vector<uint32_t> All() {
    std::vector<uint32_t> all;
    for (const uint32_t pasid : table_.pasids()) {
      all.push_back(pasid);
    }
    return all;
  }

  Arena arena_;
  PasidTableState<uint32_t> state_ = {};
  PasidTable<uint32_t> table_;
};

TEST_F(PasidTableTest, HoldsWhatItWasGiven) {
  EXPECT_TRUE(table_.empty());
  EXPECT_EQ(table_.Get(5), 0u);
  for (const uint32_t pasid : {0u, 5u, 1023u, 1024u, kPasids - 1}) {
    ASSERT_TRUE(table_.Set(pasid, pasid + 1).ok());
  }
  EXPECT_EQ(table_.Get(5), 6u);
  EXPECT_EQ(table_.Get(6), 0u);
  EXPECT_EQ(table_.Get(kPasids - 1), kPasids);
  EXPECT_EQ(All(), (std::vector<uint32_t>{0, 5, 1023, 1024, kPasids - 1}));
  ASSERT_TRUE(table_.Set(5, 70).ok());
  EXPECT_EQ(table_.Get(5), 70u);
  EXPECT_EQ(All().size(), 5u);
}

TEST_F(PasidTableTest, WhatNoDeviceCanHaveHasNothing) {
  ASSERT_TRUE(table_.Set(0, 1).ok());
  EXPECT_EQ(table_.Get(kPasids), 0u);
  EXPECT_EQ(table_.Get(UINT32_MAX), 0u);
}

TEST_F(PasidTableTest, MemoryGoesWithWhatItIsFor) {
  const size_t before = arena_.bytes_in_use();
  ASSERT_TRUE(table_.Set(1, 1).ok());
  const size_t with_one = arena_.bytes_in_use();
  ASSERT_TRUE(table_.Set(2, 3).ok());
  ASSERT_TRUE(table_.Set(500000, 2).ok());
  EXPECT_GT(arena_.bytes_in_use(), with_one);
  table_.Remove(1);
  EXPECT_EQ(All(), (std::vector<uint32_t>{2, 500000}));
  table_.Remove(7);       // has nothing
  table_.Remove(300000);  // nor has any near it
  table_.Remove(500000);
  EXPECT_EQ(arena_.bytes_in_use(), with_one);
  table_.Remove(2);
  EXPECT_TRUE(table_.empty());
  EXPECT_EQ(arena_.bytes_in_use(), before);
  ASSERT_TRUE(table_.Set(1, 1).ok());
  table_.Clear();
  EXPECT_EQ(arena_.bytes_in_use(), before);
}

TEST_F(PasidTableTest, AFullArenaChangesNothing) {
  ASSERT_TRUE(table_.Set(5, 9).ok());
  const size_t before = arena_.bytes_in_use();
  uint32_t nth = 1;
  for (FailArenaAllocation(nth); !table_.Set(500000, 1).ok(); FailArenaAllocation(++nth)) {
    EXPECT_TRUE(HasArenaAllocationFailed());
    EXPECT_EQ(All(), (std::vector<uint32_t>{5}));
    EXPECT_EQ(arena_.bytes_in_use(), before);
  }
  FailArenaAllocation(0);
  EXPECT_EQ(nth, 3u) << "a branch and a leaf are new";
  // What is there takes no memory.
  FailArenaAllocation(1);
  EXPECT_TRUE(table_.Set(500000, 2).ok());
  EXPECT_TRUE(table_.Set(500001, 2).ok());
  FailArenaAllocation(0);
  EXPECT_EQ(All(), (std::vector<uint32_t>{5, 500000, 500001}));
}

}  // namespace
}  // namespace ioas
