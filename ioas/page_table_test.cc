#include "ioas/page_table.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace ioas {
namespace {

constexpr uint32_t kRead = 1;
constexpr uint32_t kBoth = 3;
constexpr uint64_t kMemory = 0x7f0000000000;

// Keeps the runs it is told of.
class Collector final : public PageRunSink {
 public:
  void OnRun(uint64_t user_address, uint64_t pages) override {
    runs.emplace_back(user_address, pages);
  }
  std::vector<std::pair<uint64_t, uint64_t>> runs;
};
using RunList = std::vector<std::pair<uint64_t, uint64_t>>;

class PageTableTest : public testing::Test {
 protected:
  PageTableTest() : arena_(*Arena::CreatePrivate(64 << 20)), table_(arena_, &state_) {}
  ~PageTableTest() override { arena_.Unmap(); }

  void Set(uint64_t first, uint64_t count, uint64_t user_address, uint32_t access = kBoth) {
    ASSERT_TRUE(table_.Reserve(first, count).ok());
    table_.Set(first, count, {user_address, access}, gone_);
  }
  RunList Mapped(uint64_t first, uint64_t count) {
    Collector found;
    table_.Walk(first, count, found);
    return found.runs;
  }

  Arena arena_;
  PageTableState state_ = {};
  PageTable table_;
  Collector gone_;
};

TEST_F(PageTableTest, LargeTableTakesNoMemoryUntilAPageIsMapped) {
  const size_t before = arena_.bytes_in_use();
  table_.Initialize(uint64_t{1} << 28, 12);
  EXPECT_EQ(table_.At(12345).access, 0u);
  EXPECT_EQ(table_.Clear(0, uint64_t{1} << 28, gone_), 0u);
  EXPECT_EQ(arena_.bytes_in_use(), before);
  Set((uint64_t{1} << 28) - 1, 1, kMemory);
  EXPECT_EQ(table_.At((uint64_t{1} << 28) - 1).user_address, kMemory);
  EXPECT_LE(arena_.bytes_in_use() - before, size_t{4} * kArenaPage);
}

TEST_F(PageTableTest, DenseTableTakesEightBytesAPage) {
  constexpr uint64_t kPages = 1 << 20;
  table_.Initialize(kPages, 12);
  const size_t before = arena_.bytes_in_use();
  Set(0, kPages, kMemory);
  EXPECT_LE(arena_.bytes_in_use() - before, kPages * 8 * 11 / 10);
}

TEST_F(PageTableTest, RunOfPagesLeadsToConsecutiveMemoryAcrossLeaves) {
  table_.Initialize(1 << 20, 16);
  Set(500, 1000, kMemory, kRead);
  for (const uint64_t page : {500, 511, 512, 1023, 1024, 1499}) {
    EXPECT_EQ(table_.At(page).user_address, kMemory + ((page - 500) << 16)) << page;
    EXPECT_EQ(table_.At(page).access, kRead);
  }
  EXPECT_EQ(table_.At(499).access, 0u);
  EXPECT_EQ(table_.At(1500).access, 0u);
  EXPECT_EQ(state_.mapped, 1000u);
  EXPECT_EQ(Mapped(0, 1 << 20), (RunList{{kMemory, 1000}}));
}

TEST_F(PageTableTest, WhatIsReplacedIsToldAsRuns) {
  table_.Initialize(1 << 10, 12);
  Set(0, 4, kMemory);
  Set(4, 4, kMemory + 0x100000);
  EXPECT_TRUE(gone_.runs.empty());
  EXPECT_EQ(table_.Set(2, 5, {kMemory + 0x200000, kRead}, gone_), 5u);
  EXPECT_EQ(gone_.runs, (RunList{{kMemory + 0x2000, 2}, {kMemory + 0x100000, 3}}));
  EXPECT_EQ(state_.mapped, 8u);
}

TEST_F(PageTableTest, ClearingTellsOnlyOfWhatWasMapped) {
  table_.Initialize(1 << 20, 12);
  Set(10, 2, kMemory);
  Set(700000, 3, kMemory + 0x100000);
  EXPECT_EQ(table_.Clear(11, 699991, gone_), 3u);
  EXPECT_EQ(gone_.runs, (RunList{{kMemory + 0x1000, 1}, {kMemory + 0x100000, 2}}));
  EXPECT_EQ(Mapped(0, 1 << 20), (RunList{{kMemory, 1}, {kMemory + 0x102000, 1}}));
  EXPECT_EQ(state_.mapped, 2u);
}

TEST_F(PageTableTest, ReservingMoreThanTheArenaHoldsIsENOMEM) {
  table_.Initialize(uint64_t{1} << 40, 12);
  EXPECT_EQ(table_.Reserve(0, uint64_t{1} << 40).error().code, ENOMEM);
  EXPECT_EQ(state_.mapped, 0u);
  table_.Destroy();
  EXPECT_TRUE(table_.Reserve(0, 0).ok());
}

TEST_F(PageTableTest, DestroyGivesAllMemoryBack) {
  const size_t before = arena_.bytes_in_use();
  table_.Initialize(uint64_t{1} << 30, 12);
  for (uint64_t page = 0; page < uint64_t{1} << 30; page += uint64_t{1} << 22) {
    Set(page, 2, kMemory);
  }
  EXPECT_GT(arena_.bytes_in_use(), before);
  table_.Destroy();
  EXPECT_EQ(arena_.bytes_in_use(), before);
  EXPECT_EQ(state_.pages, 0u);
}

TEST_F(PageTableTest, RecountFindsWhatADeathLeftUncounted) {
  table_.Initialize(1 << 12, 12);
  Set(100, 700, kMemory);
  state_.mapped = 3;
  table_.Recount();
  EXPECT_EQ(state_.mapped, 700u);
}

}  // namespace
}  // namespace ioas
