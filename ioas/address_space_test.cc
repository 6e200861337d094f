#include "ioas/address_space.h"

#include <gtest/gtest.h>

#include <vector>

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;
constexpr IovaRange kApertures[] = {{0, 0xffffffff}, {0x1000000000, 0x1fffffffff}};
constexpr IovaRange kInterrupts[] = {{0xfee00000, 0xfeefffff}};

const IommuProperties kIommu = {
    .page_sizes = kPage | kPage << 9, .apertures = kApertures, .reserved = kInterrupts};

// A backend that counts what is pinned, and refuses on demand.
class CountingBackend final : public Backend {
 public:
  Status Map(const IoasHandle& /*space*/, const Mapping& mapping) override {
    if (refusal != 0) return Error{refusal, "refused by the test"};
    pinned += mapping.last - mapping.first + 1;
    return {};
  }
  Status Unmap(const IoasHandle& /*space*/, const Mapping& mapping) override {
    if (refusal != 0) return Error{refusal, "refused by the test"};
    pinned -= mapping.last - mapping.first + 1;
    return {};
  }
  void Discard(const IoasHandle& /*space*/, const IovaRange& range) override { discarded = range; }

  IovaRange discarded = {1, 0};
  uint64_t pinned = 0;
  int refusal = 0;
};

class AddressSpaceTest : public testing::Test {
 protected:
  AddressSpaceTest()
      : arena_(*Arena::CreatePrivate(16 << 20)),
        space_(arena_, *AddressSpace::Create(arena_, kIommu, /*mapping_limit=*/4), &backend_) {}
  ~AddressSpaceTest() override { arena_.Unmap(); }

  Status Map(uint64_t first, uint64_t last, uint32_t flags = kAccessRead) {
    return space_.Map({.first = first,
                       .last = last,
                       .user_address = 0x7000000000 + first,
                       .owner = 3,
                       .flags = flags});
  }
  int MapError(uint64_t first, uint64_t last) { return Map(first, last).error().code; }

  CountingBackend backend_;
  Arena arena_;
  AddressSpace space_;
};

TEST_F(AddressSpaceTest, UsableRangesAreAperturesWithoutReservedRanges) {
  IovaRange ranges[kMaxUsableRanges];
  ASSERT_EQ(space_.UsableRanges(ranges), 3u);
  EXPECT_EQ(ranges[0], (IovaRange{0, 0xfedfffff}));
  EXPECT_EQ(ranges[1], (IovaRange{0xfef00000, 0xffffffff}));
  EXPECT_EQ(ranges[2], kApertures[1]);
}

TEST_F(AddressSpaceTest, MapOutsideOrAcrossUsableRangesIsRefused) {
  EXPECT_EQ(MapError(0xfee00000, 0xfee00fff), EINVAL);
  EXPECT_EQ(MapError(0xfedff000, 0xfee00fff), EINVAL);
  EXPECT_EQ(MapError(0xfffff000, 0x100000fff), EINVAL);
  EXPECT_EQ(MapError(0x800000000, 0x800000fff), EINVAL);
  EXPECT_EQ(backend_.pinned, 0u);
  EXPECT_EQ(MapError(0x1000000000, 0x1000000fff), 0);
}

TEST_F(AddressSpaceTest, ALimitOfBytesIsKeptToTheByte) {
  space_.SetLimits({.bytes = 3 * kPage - 1, .mappings = 0, .range_count = 0, .ranges = {}});
  EXPECT_EQ(MapError(0, 2 * kPage - 1), 0);
  EXPECT_EQ(MapError(4 * kPage, 5 * kPage - 1), ENOMEM);
  space_.SetLimits({.bytes = 3 * kPage, .mappings = 0, .range_count = 0, .ranges = {}});
  EXPECT_EQ(MapError(4 * kPage, 5 * kPage - 1), 0);
}

TEST_F(AddressSpaceTest, OverlapIsFoundBeforeTheLimitAndTheLimitBeforeTheRange) {
  for (uint64_t i = 0; i < 4; ++i) ASSERT_EQ(MapError(i * kPage, i * kPage + kPage - 1), 0);
  EXPECT_EQ(MapError(kPage, 2 * kPage - 1), EEXIST);
  EXPECT_EQ(MapError(0xfee00000, 0xfee00fff), ENOSPC);
}

TEST_F(AddressSpaceTest, MapThatCannotBePinnedChangesNothing) {
  backend_.refusal = EFAULT;
  EXPECT_EQ(MapError(0, kPage - 1), EFAULT);
  backend_.refusal = 0;
  EXPECT_EQ(space_.mappings().size(), 0u);
  EXPECT_EQ(space_.statistics().maps, 0u);
  EXPECT_EQ(MapError(0, kPage - 1), 0);
}

TEST_F(AddressSpaceTest, UnmapThatTheBackendRefusesChangesNothing) {
  ASSERT_TRUE(Map(0, kPage - 1).ok());
  const Mapping mapping = *space_.mappings().FindContaining(0);
  backend_.refusal = EINVAL;
  EXPECT_EQ(space_.Unmap(mapping).error().code, EINVAL);
  backend_.refusal = 0;
  EXPECT_EQ(space_.mappings().size(), 1u);
  EXPECT_EQ(space_.statistics().bytes_mapped, kPage);
  EXPECT_TRUE(space_.Unmap(mapping).ok());
  EXPECT_EQ(backend_.pinned, 0u);
}

TEST_F(AddressSpaceTest, MapThatFindsTheArenaFullIsUnpinned) {
  while (arena_.Allocate(4096).ok()) {
  }
  while (arena_.Allocate(64).ok()) {
  }
  EXPECT_EQ(MapError(0, kPage - 1), ENOMEM);
  EXPECT_EQ(backend_.pinned, 0u);
}

TEST_F(AddressSpaceTest, TranslationFollowsTheMappingAndItsPermissions) {
  ASSERT_TRUE(Map(0x10000, 0x1ffff).ok());
  const Result<Translation> translation = space_.Translate(0x10010, kAccessRead);
  ASSERT_TRUE(translation.ok());
  EXPECT_EQ(translation->user_address, 0x7000010010u);
  EXPECT_EQ(translation->contiguous, 0xfff0u);
  EXPECT_EQ(translation->process, 3u);
  EXPECT_EQ(space_.Translate(0x10010, kAccessWrite).error().code, EACCES);
  EXPECT_EQ(space_.Translate(0x20000, kAccessRead).error().code, ENOENT);
}

TEST_F(AddressSpaceTest, UnmapAllUnpinsEverything) {
  ASSERT_TRUE(Map(0, kPage - 1).ok());
  ASSERT_TRUE(Map(0x10000, 0x1ffff).ok());
  EXPECT_EQ(space_.UnmapAll(), 0x11000u);
  EXPECT_EQ(backend_.pinned, 0u);
  EXPECT_EQ(space_.mappings().size(), 0u);
  EXPECT_EQ(space_.statistics().unmaps, 2u);
}

TEST_F(AddressSpaceTest, ReservedRangesBelongToTheirOwners) {
  ASSERT_TRUE(Map(0, kPage - 1).ok());
  EXPECT_EQ(space_.Reserve({0, 0xffff}, 1).error().code, EADDRINUSE);
  ASSERT_TRUE(space_.Reserve({0x10000, 0x1ffff}, 1).ok());
  ASSERT_TRUE(space_.Reserve({0x20000, 0x2ffff}, 2).ok());
  EXPECT_EQ(MapError(0x10000, 0x10fff), EINVAL);
  space_.Release(1);
  EXPECT_EQ(MapError(0x10000, 0x10fff), 0);
  EXPECT_EQ(MapError(0x20000, 0x20fff), EINVAL);
}

TEST_F(AddressSpaceTest, WhatIsMappedFitsAnIommuThatReachesAllOfIt) {
  const IovaRange usable = space_.state().unreserved[0];
  ASSERT_TRUE(
      space_.Map({.first = usable.first, .last = usable.first + 0x1fff, .flags = kAccessRead})
          .ok());
  const auto fits = [this](std::vector<IovaRange> apertures, std::vector<IovaRange> reserved) {
    return space_.Fits({.page_sizes = 4096, .apertures = apertures, .reserved = reserved});
  };
  const uint64_t last = usable.first + 0x1fff;
  EXPECT_TRUE(fits({{usable.first, last}}, {}));
  EXPECT_FALSE(fits({{usable.first, last - 1}}, {}));
  EXPECT_FALSE(fits({{usable.first, usable.first + 0xfff}, {usable.first + 0x1000, last}}, {}));
  EXPECT_FALSE(fits({}, {}));
  EXPECT_TRUE(fits({{0, UINT64_MAX}}, {{last + 1, last + 0x1000}}));
  EXPECT_FALSE(fits({{0, UINT64_MAX}}, {{last, last}}));
}

TEST_F(AddressSpaceTest, ReservedRangesAreLimited) {
  uint32_t made = 0;
  while (space_.Reserve({0x10000 * uint64_t{made}, 0x10000 * uint64_t{made} + 0xfff}, 1).ok()) {
    ++made;
  }
  EXPECT_EQ(made, kMaxReservedRanges - 1);
  IovaRange ranges[kMaxUsableRanges];
  EXPECT_EQ(space_.UsableRanges(ranges), 3 + made - 1);
}

}  // namespace
}  // namespace ioas
