// Mapping, unmapping, copying, where mappings may lie, and how many there can be.

#include "tests/behaviour/fixture.h"

namespace tests {
namespace {

using MappingTest = BehaviourTest;

TEST_P(MappingTest, ADeviceReachesWhatIsMapped) {
  EXPECT_FALSE(DeviceWrites(kIova, page(0)));
  ASSERT_EQ(mode().Map(kIova, page(0), 3 * kPage), 0);
  for (const uint64_t i : {0, 1, 2}) EXPECT_TRUE(Reaches(kIova + i * kPage, page(i))) << i;
  EXPECT_FALSE(DeviceWrites(kIova + 3 * kPage, page(3)));
  EXPECT_FALSE(DeviceReads(kIova - kPage, page(3)));
}

TEST_P(MappingTest, ADeviceDoesNotWriteWhatItMayOnlyRead) {
  ASSERT_EQ(mode().Map(kIova, page(0), kPage, kDeviceReads), 0);
  EXPECT_TRUE(DeviceReads(kIova, page(0)));
  EXPECT_FALSE(DeviceWrites(kIova, page(0)));
}

TEST_P(MappingTest, MappingOverWhatIsMappedIsAsTheModeHasIt) {
  ASSERT_EQ(mode().Map(kIova, page(0), kPage), 0);
  ASSERT_EQ(mode().Map(kIova, page(1), kPage), answers().map_again);
  const bool is_replaced = answers().map_again == 0;
  EXPECT_EQ(Reaches(kIova, page(0)), !is_replaced);
  EXPECT_EQ(Reaches(kIova, page(1)), is_replaced);
}

TEST_P(MappingTest, ADeviceDoesNotReachWhatIsUnmapped) {
  ASSERT_EQ(mode().Map(kIova, page(0), 2 * kPage), 0);
  ASSERT_EQ(mode().Map(kIova + 2 * kPage, page(2), kPage), 0);
  EXPECT_EQ(mode().Unmap(kIova, 2 * kPage), (Unmapped{0, 2 * kPage}));
  EXPECT_FALSE(DeviceWrites(kIova, page(0)));
  EXPECT_FALSE(DeviceReads(kIova + kPage, page(1)));
  EXPECT_TRUE(Reaches(kIova + 2 * kPage, page(2)));
  EXPECT_EQ(mode().Unmap(kIova, kPage), answers().unmap_nothing);
  ASSERT_EQ(mode().Map(kIova, page(3), kPage), 0);
  EXPECT_TRUE(Reaches(kIova, page(3)));
}

TEST_P(MappingTest, UnmappingAPartIsAsTheModeHasIt) {
  ASSERT_EQ(mode().Map(kIova, page(0), 2 * kPage), 0);
  EXPECT_EQ(mode().Unmap(kIova + kPage, kPage), answers().unmap_last);
  const bool is_last_gone = answers().unmap_last.bytes != 0;
  EXPECT_TRUE(Reaches(kIova, page(0)));
  EXPECT_EQ(Reaches(kIova + kPage, page(1)), !is_last_gone);
  EXPECT_EQ(mode().Unmap(kIova, kPage), answers().unmap_first);
  EXPECT_EQ(Reaches(kIova, page(0)), answers().unmap_first.bytes == 0);
  const bool is_all_gone = answers().unmap_first.bytes == 2 * kPage;
  EXPECT_EQ(Reaches(kIova + kPage, page(1)), !is_last_gone && !is_all_gone);
}

TEST_P(MappingTest, ACopyOutlivesWhatItWasMadeOf) {
  constexpr uint64_t kCopy = kIova + 8 * kPage;
  ASSERT_EQ(mode().Map(kIova, page(0), 2 * kPage), 0);
  ASSERT_EQ(mode().Copy(kIova + kPage, kCopy, kPage), answers().copy);
  EXPECT_EQ(Reaches(kCopy, page(1)), answers().copy == 0);
  // Without the call, what leads to the same memory is a copy.
  if (answers().copy != 0) {
    ASSERT_EQ(mode().Map(kCopy, page(1), kPage), 0);
  }
  ASSERT_EQ(mode().Unmap(kIova, 2 * kPage), (Unmapped{0, 2 * kPage}));
  EXPECT_FALSE(Reaches(kIova + kPage, page(1)));
  EXPECT_TRUE(Reaches(kCopy, page(1)));
}

TEST_P(MappingTest, AperturesReachFromTheirFirstAddressToTheirLast) {
  const std::vector<IovaRange> ranges = mode().UsableRanges();
  ASSERT_FALSE(ranges.empty());
  uint64_t number = 0;
  for (const IovaRange& range : ranges) {
    SCOPED_TRACE(testing::Message() << std::hex << range.first << " to " << range.last);
    const uint64_t last_page = range.last - (kPage - 1);
    ASSERT_EQ(mode().Map(range.first, page(number), kPage), 0);
    EXPECT_TRUE(Reaches(range.first, page(number++)));
    EXPECT_EQ(mode().Map(last_page, page(number), 2 * kPage), answers().map_across);
    ASSERT_EQ(mode().Map(last_page, page(number), kPage), 0);
    EXPECT_TRUE(Reaches(last_page, page(number++)));
    ASSERT_LT(number, kPages);
  }
  const uint64_t beyond = ranges.back().last + 1;
  EXPECT_EQ(mode().Map(beyond, page(number), kPage), answers().map_outside);
  EXPECT_FALSE(DeviceWrites(beyond, page(number)));
}

// Nothing can be mapped between the ranges that the mode says are usable, whatever the reason.
TEST_P(MappingTest, ReservedRangesAreToldAndCannotBeMapped) {
  // Where x86 has its interrupts. Others need not leave that out.
  constexpr IovaRange kInterrupts = {0xfee00000, 0xfeefffff};
  const std::vector<IovaRange> ranges = mode().UsableRanges();
  ASSERT_FALSE(ranges.empty());
  bool has_interrupts = false;
  for (size_t i = 1; i < ranges.size(); ++i) {
    const IovaRange hole = {ranges[i - 1].last + 1, ranges[i].first - 1};
    if (hole.first > hole.last) continue;
    has_interrupts = has_interrupts || hole == kInterrupts;
    EXPECT_EQ(mode().Map(hole.first, page(0), kPage), answers().map_outside);
    EXPECT_EQ(mode().Map(hole.last - (kPage - 1), page(0), kPage), answers().map_outside);
  }
  EXPECT_EQ(has_interrupts, GetParam().has_interrupts);
}

TEST_P(MappingTest, MappingsEndAtTheLimitAndNotBefore) {
  constexpr uint64_t kMany = 66'000;
  // The driver's is one.
  const uint64_t limit = answers().mapping_limit.value_or(kMany + 1) - 1;
  uint64_t made = 0;
  int error = 0;
  while (made < kMany && error == 0) {
    error = mode().Map(kIova + made * kPage, page(0), kPage);
    if (error == 0) ++made;
  }
  if (error == ENOMEM) GTEST_SKIP() << "less than 258 MiB of memory may be locked";
  ASSERT_EQ(made, limit);
  EXPECT_EQ(error, answers().mapping_limit ? ENOSPC : 0);
  EXPECT_TRUE(Reaches(kIova + (made - 1) * kPage, page(0)));
  if (!answers().mapping_limit) return;
  EXPECT_FALSE(DeviceWrites(kIova + made * kPage, page(0)));
  ASSERT_EQ(mode().Unmap(kIova, kPage), (Unmapped{0, kPage}));
  EXPECT_EQ(mode().Map(kIova + made * kPage, page(0), kPage), 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, MappingTest, testing::ValuesIn(Modes()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tests
