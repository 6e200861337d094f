#include "ioas/dirty_pages.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kLeaf = kPage << 12;  // what one leaf is for
constexpr uint64_t kLast = (uint64_t{1} << 39) - 1;

IovaRange Pages(uint64_t first, uint64_t count) {
  return {first * kPage, (first + count) * kPage - 1};
}

class Written final : public DirtyPageSink {
 public:
  void OnWritten(const IovaRange& range) override {
    EXPECT_EQ(range.first % kPage, 0u);
    EXPECT_EQ((range.last + 1) % kPage, 0u);
    for (uint64_t at = range.first; at < range.last; at += kPage) pages.push_back(at / kPage);
  }
  std::vector<uint64_t> pages;
};

class DirtyPagesTest : public testing::Test {
 protected:
  DirtyPagesTest() : arena_(*Arena::CreatePrivate(1 << 20)), before_(arena_.bytes_in_use()) {
    dirty_.Initialize(kLast, kPage);
    dirty_.Start();
  }
  ~DirtyPagesTest() override {
    index().Clear();
    dirty_.Stop();
    EXPECT_EQ(arena_.bytes_in_use(), before_);
    arena_.Unmap();
  }
  std::vector<uint64_t> Read(const IovaRange& range, bool clear) {
    Written written;
    dirty_.Read(range, clear, written);
    return written.pages;
  }
  MappingIndex index() { return MappingIndex(arena_, &mappings_); }

  Arena arena_;
  size_t before_;
  DirtyPagesState state_ = {};
  MappingIndexState mappings_ = {};
  DirtyPages dirty_ = DirtyPages(arena_, &state_);
};

TEST_F(DirtyPagesTest, MarksAreReadOnceOrAsOftenAsOneLikes) {
  ASSERT_TRUE(dirty_.Reserve(Pages(0, 1000)).ok());
  dirty_.Mark({5 * kPage + 1, 5 * kPage + 1});
  dirty_.Mark({62 * kPage + 4095, 130 * kPage});
  std::vector<uint64_t> expected = {5};
  for (uint64_t page = 62; page <= 130; ++page) expected.push_back(page);
  EXPECT_EQ(Read(Pages(0, 1000), false), expected);
  EXPECT_EQ(Read(Pages(63, 2), true), (std::vector<uint64_t>{63, 64}));
  EXPECT_EQ(Read(Pages(60, 7), false), (std::vector<uint64_t>{62, 65, 66}));
  EXPECT_EQ(Read(Pages(0, 1000), true).size(), expected.size() - 2);
  EXPECT_TRUE(Read(Pages(0, 1000), true).empty());
}

TEST_F(DirtyPagesTest, AllBitsOfAWordAreOneRun) {
  ASSERT_TRUE(dirty_.Reserve(Pages(0, 256)).ok());
  dirty_.Mark(Pages(64, 64));
  EXPECT_EQ(Read(Pages(0, 256), true).size(), 64u);
}

TEST_F(DirtyPagesTest, AgreesWithASetOfPages) {
  // From one end of the addresses to the other.
  const std::vector<IovaRange> reserved = {
      Pages(0, 3), {kLeaf - 2 * kPage, kLeaf + 70 * kPage - 1}, {kLast + 1 - 2 * kPage, kLast}};
  for (const IovaRange& range : reserved) ASSERT_TRUE(dirty_.Reserve(range).ok());
  std::set<uint64_t> expected;
  uint64_t random = 1;
  for (int i = 0; i < 2000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const IovaRange& range = reserved[(random >> 40) % reserved.size()];
    const uint64_t pages = (range.last - range.first + 1) / kPage;
    const uint64_t first = range.first / kPage + (random >> 45) % pages;
    const uint64_t last = std::min(first + (random >> 50) % 70, range.last / kPage);
    if (i % 3 != 0) {
      dirty_.Mark({first * kPage, last * kPage});
      for (uint64_t page = first; page <= last; ++page) expected.insert(page);
      continue;
    }
    const std::vector<uint64_t> read = Read({first * kPage, (last + 1) * kPage - 1}, i % 2 == 0);
    const auto begin = expected.lower_bound(first);
    const auto end = expected.upper_bound(last);
    ASSERT_EQ(read, std::vector<uint64_t>(begin, end)) << i;
    if (i % 2 == 0) expected.erase(begin, end);
  }
  EXPECT_EQ(Read({0, kLast}, false), std::vector<uint64_t>(expected.begin(), expected.end()));
}

TEST_F(DirtyPagesTest, WhatIsNotReservedIsNotKept) {
  ASSERT_TRUE(dirty_.Reserve(Pages(0, 1)).ok());
  const size_t in_use = arena_.bytes_in_use();
  dirty_.Mark({kLeaf, 2 * kLeaf});
  EXPECT_TRUE(Read({0, kLast}, false).empty());
  EXPECT_EQ(arena_.bytes_in_use(), in_use);
}

TEST_F(DirtyPagesTest, ReleaseFreesWhereNothingIsMappedAndForgetsTheRest) {
  ASSERT_TRUE(dirty_.Reserve(Pages(0, 10)).ok());
  ASSERT_TRUE(dirty_.Reserve({100 * kLeaf, 101 * kLeaf - 1}).ok());
  ASSERT_TRUE(index().Insert({0, 4 * kPage - 1, 0x1000, 1, 3, 0}).ok());
  dirty_.Mark(Pages(0, 10));
  dirty_.Mark({100 * kLeaf, 101 * kLeaf - 1});
  const size_t in_use = arena_.bytes_in_use();
  dirty_.Release(Pages(4, 6), index());
  EXPECT_EQ(arena_.bytes_in_use(), in_use);
  EXPECT_EQ(Read({0, kLeaf - 1}, false), (std::vector<uint64_t>{0, 1, 2, 3}));
  dirty_.Release({100 * kLeaf, 101 * kLeaf - 1}, index());
  EXPECT_LT(arena_.bytes_in_use(), in_use);
  EXPECT_EQ(Read({0, kLast}, false), (std::vector<uint64_t>{0, 1, 2, 3}));
}

TEST_F(DirtyPagesTest, WhatIsReservedAnewIsClean) {
  ASSERT_TRUE(dirty_.Reserve(Pages(0, 8)).ok());
  dirty_.Mark(Pages(0, 8));
  ASSERT_TRUE(dirty_.Reserve(Pages(2, 3)).ok());
  EXPECT_EQ(Read(Pages(0, 8), false), (std::vector<uint64_t>{0, 1, 5, 6, 7}));
}

TEST_F(DirtyPagesTest, AFullArenaIsToldAndNothingIsLost) {
  ASSERT_TRUE(dirty_.Reserve(Pages(0, 4)).ok());
  dirty_.Mark(Pages(1, 2));
  EXPECT_EQ(dirty_.Reserve({kLeaf, kLast}).error().code, ENOMEM);
  EXPECT_EQ(Read({0, kLast}, false), (std::vector<uint64_t>{1, 2}));
  dirty_.Release({kLeaf, kLast}, index());
  EXPECT_TRUE(dirty_.Reserve({kLeaf, 2 * kLeaf - 1}).ok());
}

TEST_F(DirtyPagesTest, OtherSizesOfPagesAndAddresses) {
  dirty_.Initialize(UINT64_MAX, 2048);
  dirty_.Start();
  const IovaRange top = {UINT64_MAX - 4095, UINT64_MAX};
  ASSERT_TRUE(dirty_.Reserve(top).ok());
  dirty_.Mark({UINT64_MAX, UINT64_MAX});
  struct : DirtyPageSink {
    void OnWritten(const IovaRange& pages) override { ranges.push_back(pages); }
    std::vector<IovaRange> ranges;
  } written;
  dirty_.Read({0, UINT64_MAX}, true, written);
  EXPECT_EQ(written.ranges, (std::vector<IovaRange>{{UINT64_MAX - 2047, UINT64_MAX}}));
}

}  // namespace
}  // namespace ioas
