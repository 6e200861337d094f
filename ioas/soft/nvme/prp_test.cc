#include "ioas/soft/nvme/prp.h"

#include <gtest/gtest.h>

#include <vector>

#include "ioas/soft/nvme/test_support.h"

namespace ioas::soft::nvme {
namespace {

constexpr uint32_t kPage = 4096;
constexpr uint64_t kList = FakeMemory::kFirst;
constexpr uint64_t kPages = FakeMemory::kFirst + (1 << 20);

class PrpTest : public testing::Test {
 protected:
  // All segments of a transfer, or the status that ended it.
  CommandStatus Walk(uint64_t prp1, uint64_t prp2, uint32_t length, uint32_t page_size = kPage) {
    SubmissionEntry command{};
    command.prp1 = prp1;
    command.prp2 = prp2;
    PrpWalker walker(memory_, page_size, command, length);
    while (walker.remaining() != 0) {
      std::span<const DmaSegment> part;
      const CommandStatus status = walker.Next(&part);
      if (status != CommandStatus::kSuccess) return status;
      segments_.insert(segments_.end(), part.begin(), part.end());
    }
    return CommandStatus::kSuccess;
  }
  void SetEntry(uint64_t list, uint32_t index, uint64_t value) {
    memory_.As<uint64_t>(list + index * 8) = value;
  }
  uint64_t Total() const {
    uint64_t total = 0;
    for (const DmaSegment& segment : segments_) total += segment.length;
    return total;
  }

  FakeMemory memory_;
  std::vector<DmaSegment> segments_;
};

TEST_F(PrpTest, OnePageNeedsNoSecondPointer) {
  EXPECT_EQ(Walk(kPages + 0x10, 0xbad, kPage - 0x10), CommandStatus::kSuccess);
  ASSERT_EQ(segments_.size(), 1U);
  EXPECT_EQ(segments_[0].iova, kPages + 0x10);
  EXPECT_EQ(segments_[0].length, kPage - 0x10);
}

TEST_F(PrpTest, SecondPointerIsDataForTwoPages) {
  EXPECT_EQ(Walk(kPages + 0x200, kPages + 8 * kPage, kPage), CommandStatus::kSuccess);
  ASSERT_EQ(segments_.size(), 2U);
  EXPECT_EQ(segments_[0].length, kPage - 0x200);
  EXPECT_EQ(segments_[1].iova, kPages + 8 * kPage);
  EXPECT_EQ(segments_[1].length, 0x200U);
}

TEST_F(PrpTest, OffsetsWhereNoneMayBeAreRefused) {
  EXPECT_EQ(Walk(kPages + 2, 0, 512), CommandStatus::kPrpOffsetInvalid);
  EXPECT_EQ(Walk(kPages, kPages + 4, 2 * kPage), CommandStatus::kPrpOffsetInvalid);
  EXPECT_EQ(Walk(kPages, kList + 4, 3 * kPage), CommandStatus::kPrpOffsetInvalid);
  SetEntry(kList, 0, kPages + kPage);
  SetEntry(kList, 1, kPages + 2 * kPage + 512);
  EXPECT_EQ(Walk(kPages, kList, 3 * kPage), CommandStatus::kPrpOffsetInvalid);
}

TEST_F(PrpTest, ContiguousPagesBecomeOneSegment) {
  for (uint32_t i = 0; i < 7; ++i) SetEntry(kList, i, kPages + (i + 1) * kPage);
  EXPECT_EQ(Walk(kPages + 4, kList, 8 * kPage - 4), CommandStatus::kSuccess);
  ASSERT_EQ(segments_.size(), 1U);
  EXPECT_EQ(segments_[0].length, 8 * kPage - 4);
}

TEST_F(PrpTest, NoSegmentRunsFromTheLastPageIntoTheFirst) {
  EXPECT_EQ(Walk(~uint64_t{0} - 511, 0, 1024), CommandStatus::kSuccess);
  ASSERT_EQ(segments_.size(), 2U);
  EXPECT_EQ(segments_[1].iova, 0U);
}

TEST_F(PrpTest, ListsChainThroughTheLastEntryOfAPage) {
  // The list begins three entries before its page ends: two are data, the third is the chain.
  const uint64_t first = kList + kPage - 3 * 8;
  const uint64_t second = kList + 4 * kPage;
  SetEntry(first, 0, kPages + 10 * kPage);
  SetEntry(first, 1, kPages + 20 * kPage);
  SetEntry(first, 2, second);
  for (uint32_t i = 0; i < 3; ++i) SetEntry(second, i, kPages + (30 + 2 * i) * kPage);
  EXPECT_EQ(Walk(kPages, first, 6 * kPage), CommandStatus::kSuccess);
  ASSERT_EQ(segments_.size(), 6U);
  EXPECT_EQ(segments_[2].iova, kPages + 20 * kPage);
  EXPECT_EQ(segments_[3].iova, kPages + 30 * kPage);
  EXPECT_EQ(segments_[5].iova, kPages + 34 * kPage);
}

TEST_F(PrpTest, LastEntryOfAPageIsDataWhereItEndsTheTransfer) {
  const uint64_t first = kList + kPage - 2 * 8;
  SetEntry(first, 0, kPages + 10 * kPage);
  SetEntry(first, 1, kPages + 20 * kPage);
  EXPECT_EQ(Walk(kPages, first, 3 * kPage), CommandStatus::kSuccess);
  ASSERT_EQ(segments_.size(), 3U);
  EXPECT_EQ(segments_[2].iova, kPages + 20 * kPage);
}

TEST_F(PrpTest, ListWhoseOnlyEntryIsAChainIsFollowed) {
  const uint64_t first = kList + kPage - 8;
  SetEntry(first, 0, kList + kPage);
  SetEntry(kList + kPage, 0, kPages + 10 * kPage);
  SetEntry(kList + kPage, 1, kPages + 20 * kPage);
  EXPECT_EQ(Walk(kPages, first, 3 * kPage), CommandStatus::kSuccess);
  ASSERT_EQ(segments_.size(), 3U);
  EXPECT_EQ(segments_[1].iova, kPages + 10 * kPage);
}

TEST_F(PrpTest, ChainToAListWithAnOffsetIsRefused) {
  const uint64_t first = kList + kPage - 8;
  SetEntry(first, 0, kList + kPage + 8);
  EXPECT_EQ(Walk(kPages, first, 3 * kPage), CommandStatus::kPrpOffsetInvalid);
}

TEST_F(PrpTest, ListThatChainsToItselfEndsWithTheTransfer) {
  for (uint32_t i = 0; i < kPage / 8; ++i) SetEntry(kList, i, kList);
  EXPECT_EQ(Walk(kPages, kList, kMaximumTransfer * 4), CommandStatus::kSuccess);
  EXPECT_EQ(Total(), kMaximumTransfer * 4);
}

TEST_F(PrpTest, LongTransferIsHandedOutInChunks) {
  for (uint32_t i = 0; i < 256; ++i) SetEntry(kList, i, kPages + (300 - i) * kPage);
  EXPECT_EQ(Walk(kPages + 8, kList, kMaximumTransfer), CommandStatus::kSuccess);
  EXPECT_EQ(Total(), kMaximumTransfer);
}

TEST_F(PrpTest, LargerPagesTakeFewerEntries) {
  SetEntry(kList, 0, kPages + 0x20000);
  SetEntry(kList, 1, kPages + 0x40000);
  EXPECT_EQ(Walk(kPages, kList, 3 * 0x10000, 0x10000), CommandStatus::kSuccess);
  ASSERT_EQ(segments_.size(), 3U);
  EXPECT_EQ(segments_[1].length, 0x10000U);
  EXPECT_EQ(Walk(kPages, kPages + 0x1000, 2 * 0x10000, 0x10000), CommandStatus::kPrpOffsetInvalid);
}

TEST_F(PrpTest, ListThatCannotBeReadIsATransferError) {
  EXPECT_EQ(Walk(kPages, 0x8000, 3 * kPage), CommandStatus::kDataTransferError);
  EXPECT_EQ(memory_.faults, 1U);
}

}  // namespace
}  // namespace ioas::soft::nvme
