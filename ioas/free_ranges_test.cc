#include <gtest/gtest.h>

#include <cerrno>

#include "ioas/address_space.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kGiB = uint64_t{1} << 30;
// As an x86 machine's, and a high aperture beside it.
constexpr IovaRange kApertures[] = {{0, 16 * kGiB - 1}, {uint64_t{1} << 59, UINT64_MAX}};
constexpr IovaRange kInterrupts[] = {{0xfee00000, 0xfeefffff}};

class NoBackend final : public Backend {
 public:
  Status Map(const IoasHandle&, const Mapping&) override { return {}; }
  Status Unmap(const IoasHandle&, const Mapping&) override { return {}; }
  void Discard(const IoasHandle&, const IovaRange&) override {}
};

class FreeRangesTest : public testing::Test {
 protected:
  FreeRangesTest()
      : arena_(*Arena::CreatePrivate(1 << 20)),
        space_(arena_,
               *AddressSpace::Create(
                   arena_, {.page_sizes = kPage, .apertures = kApertures, .reserved = kInterrupts},
                   100),
               &backend_) {}
  ~FreeRangesTest() override { arena_.Unmap(); }

  // Where it is; {} if there is none, and then because of ENOSPC.
  IovaRange Find(const RangeRequest& request) {
    const Result<IovaRange> found = space_.FindRange(request);
    EXPECT_TRUE(found.ok() || found.error().code == ENOSPC);
    return found.ok() ? *found : IovaRange{1, 0};
  }
  void Map(uint64_t first, uint64_t size) {
    ASSERT_TRUE(
        space_.Map({.first = first, .last = first + (size - 1), .flags = kAccessRead}).ok());
  }

  static constexpr IovaRange kNone = {1, 0};
  Arena arena_;
  NoBackend backend_;
  AddressSpace space_;
};

TEST_F(FreeRangesTest, TheLowestIsFoundAndIsExactlyAsLargeAsAskedFor) {
  EXPECT_EQ(Find({.size = 1}), (IovaRange{0, 0}));
  EXPECT_EQ(Find({.size = kGiB + 5}), (IovaRange{0, kGiB + 4}));
  Map(0, kPage);
  Map(3 * kPage, kPage);
  EXPECT_EQ(Find({.size = 2 * kPage}), (IovaRange{kPage, 3 * kPage - 1}));
  EXPECT_EQ(Find({.size = 2 * kPage + 1}), (IovaRange{4 * kPage, 6 * kPage}));
}

TEST_F(FreeRangesTest, HolesAreNeverInside) {
  EXPECT_EQ(Find({.size = kInterrupts[0].first}), (IovaRange{0, kInterrupts[0].first - 1}));
  const uint64_t behind = kInterrupts[0].last + 1;
  EXPECT_EQ(Find({.size = kInterrupts[0].first + 1}).first, behind);
  EXPECT_EQ(Find({.size = 16 * kGiB}).first, kApertures[1].first);
}

TEST_F(FreeRangesTest, BoundsAreKept) {
  // The low gigabyte, or nothing.
  EXPECT_EQ(Find({.size = kGiB, .highest = kGiB - 1}), (IovaRange{0, kGiB - 1}));
  Map(0, kPage);
  EXPECT_EQ(Find({.size = kGiB, .highest = kGiB - 1}), kNone);
  // Above 4 GiB.
  EXPECT_EQ(Find({.size = kGiB, .lowest = 4 * kGiB}), (IovaRange{4 * kGiB, 5 * kGiB - 1}));
  EXPECT_EQ(Find({.size = 1, .lowest = 5, .highest = 5}), kNone);
  EXPECT_EQ(Find({.size = 1, .lowest = kPage, .highest = kPage}), (IovaRange{kPage, kPage}));
  EXPECT_EQ(Find({.size = 1, .lowest = 7, .highest = 6}), kNone);
  EXPECT_EQ(Find({.size = kGiB, .lowest = 20 * kGiB, .highest = 40 * kGiB}), kNone);
}

TEST_F(FreeRangesTest, AlignmentIsThatOfTheFirstAddress) {
  Map(0, kPage);
  EXPECT_EQ(Find({.size = kPage, .alignment = kGiB}).first, kGiB);
  EXPECT_EQ(Find({.size = kGiB, .alignment = 4 * kGiB}).first, 4 * kGiB);
  EXPECT_EQ(Find({.size = 1, .alignment = uint64_t{1} << 63}).first, uint64_t{1} << 63);
  EXPECT_EQ(Find({.size = UINT64_MAX}), kNone);
  for (const RangeRequest& wrong :
       {RangeRequest{.size = 0}, RangeRequest{.size = 1, .alignment = 0},
        RangeRequest{.size = 1, .alignment = 3}}) {
    EXPECT_EQ(space_.FindRange(wrong).error().code, EINVAL);
    EXPECT_FALSE(space_.FindLargestRange(wrong));
  }
}

TEST_F(FreeRangesTest, WindowsAreNotFree) {
  ASSERT_TRUE(space_.AddWindow(0, 0, kGiB / kPage, 12, /*process=*/0).ok());
  EXPECT_EQ(Find({.size = kPage}).first, kGiB);
}

TEST_F(FreeRangesTest, TheLargestIsWhatCouldBeHadInstead) {
  const RangeRequest low = {.size = 8 * kGiB, .highest = 4 * kGiB - 1};
  EXPECT_EQ(Find(low), kNone);
  EXPECT_EQ(space_.FindLargestRange(low), (IovaRange{0, kInterrupts[0].first - 1}));
  EXPECT_EQ(space_.FindLargestRange({.size = 1}), kApertures[1]);
  Map(kGiB - kPage, kPage);
  EXPECT_EQ(space_.FindLargestRange({.size = 1, .alignment = kGiB, .highest = 3 * kGiB - 1}),
            (IovaRange{kGiB, 3 * kGiB - 1}));
  EXPECT_FALSE(space_.FindLargestRange({.size = 1, .lowest = 0xfee00000, .highest = 0xfee00fff}));
}

TEST_F(FreeRangesTest, WhatIsFreeIsListedInsideBounds) {
  Map(kPage, kPage);
  IovaRange ranges[4] = {};
  EXPECT_EQ(space_.FreeRanges({0, UINT64_MAX}, ranges), 4u);
  EXPECT_EQ(ranges[0], (IovaRange{0, kPage - 1}));
  EXPECT_EQ(ranges[1], (IovaRange{2 * kPage, kInterrupts[0].first - 1}));
  EXPECT_EQ(ranges[2], (IovaRange{kInterrupts[0].last + 1, kApertures[0].last}));
  EXPECT_EQ(ranges[3], kApertures[1]);
  // What does not fit is counted once, whatever there is.
  EXPECT_EQ(space_.FreeRanges({0, UINT64_MAX}, std::span(ranges).first(2)), 3u);
  EXPECT_EQ(space_.FreeRanges({0, UINT64_MAX}, {}), 1u);
  EXPECT_EQ(space_.FreeRanges({5, 3 * kPage}, ranges), 2u);
  EXPECT_EQ(ranges[0], (IovaRange{5, kPage - 1}));
  EXPECT_EQ(ranges[1], (IovaRange{2 * kPage, 3 * kPage}));
  EXPECT_EQ(space_.FreeRanges({kPage, kPage}, ranges), 0u);
  EXPECT_EQ(space_.FreeRanges({16 * kGiB, 32 * kGiB}, ranges), 0u);
}

}  // namespace
}  // namespace ioas
