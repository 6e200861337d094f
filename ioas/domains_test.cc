#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "ioas/address_space.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kGib = uint64_t{1} << 30;
constexpr uint32_t kFirst = 7;  // owners
constexpr uint32_t kSecond = 8;
constexpr uint32_t kDevice = 9;

// POWER's two windows, and what an x86 host has.
constexpr IovaRange kTwoWindows[] = {{0, 2 * kGib - 1},
                                     {uint64_t{1} << 59, (uint64_t{1} << 59) + 64 * kGib - 1}};
constexpr IovaRange kLow39[] = {{0, 512 * kGib - 1}};

IommuProperties Iommu(std::span<const IovaRange> apertures, uint64_t page_sizes = kPage) {
  return {.page_sizes = page_sizes, .apertures = apertures, .reserved = {}};
}

// Knows what is kept and what is carried out, and can refuse one.
class NotingBackend final : public Backend {
 public:
  Status Map(const IoasHandle& /*space*/, const Mapping& mapping) override {
    if (mapping.first == refused) return Error{EFAULT, "refused by the test"};
    ++carried_out[mapping.first];
    return {};
  }
  Status Unmap(const IoasHandle& /*space*/, const Mapping& mapping) override {
    if (--carried_out[mapping.first] == 0) carried_out.erase(mapping.first);
    return {};
  }
  Status Keep(const IoasHandle& /*space*/, const Mapping& mapping) override {
    ++kept[mapping.first];
    return {};
  }
  void Forget(const IoasHandle& /*space*/, const Mapping& mapping) override {
    if (--kept[mapping.first] == 0) kept.erase(mapping.first);
  }
  void Discard(const IoasHandle& /*space*/, const IovaRange& /*range*/) override {}

  std::map<uint64_t, int> kept;
  std::map<uint64_t, int> carried_out;
  uint64_t refused = UINT64_MAX;
};

class DomainsTest : public testing::Test {
 protected:
  DomainsTest()
      : arena_(*Arena::CreatePrivate(16 << 20)),
        space_(arena_, *AddressSpace::CreateWithoutDomain(arena_), &backend_) {}
  ~DomainsTest() override {
    space_.UnmapAll();
    EXPECT_TRUE(backend_.kept.empty());
    EXPECT_TRUE(backend_.carried_out.empty());
    space_.Destroy();
    EXPECT_EQ(arena_.bytes_in_use(), 0u);
    arena_.Unmap();
  }

  int Map(uint64_t first, uint64_t length, uint64_t user_address = 0x7000000000) {
    if (const Status room = space_.CheckRoom(first, length); !room.ok()) return room.error().code;
    const Mapping piece = {.first = first,
                           .last = first + (length - 1),
                           .user_address = user_address,
                           .owner = 1,
                           .flags = kAccessRead | kAccessWrite | kMayPermitWriting};
    return space_.MapAll({&piece, 1}).error().code;
  }
  int Add(uint32_t owner, const IommuProperties& iommu) {
    return space_.AddDomain(owner, iommu).error().code;
  }
  int Allow(const std::vector<IovaRange>& ranges) {
    const auto block = arena_.New<IovaRange>(ranges.size());
    std::copy(ranges.begin(), ranges.end(), arena_.Get(*block));
    const int code = space_.Allow(*block, static_cast<uint32_t>(ranges.size())).error().code;
    if (code != 0) arena_.Delete(*block, ranges.size());
    return code;
  }
  std::vector<IovaRange> Usable() const {
    std::vector<IovaRange> ranges(kMaxUsableRanges);
    ranges.resize(space_.UsableRanges(ranges));
    return ranges;
  }

  NotingBackend backend_;
  Arena arena_;
  AddressSpace space_;
};

TEST_F(DomainsTest, WithoutADomainEverythingMayLieAnywhere) {
  EXPECT_EQ(Usable(), (std::vector<IovaRange>{{0, UINT64_MAX}}));
  EXPECT_EQ(Map(3, 5, /*user_address=*/1), 0);
  EXPECT_EQ(Map(7, 1), EEXIST);
  EXPECT_EQ(Map(UINT64_MAX, 2), EOVERFLOW);
  EXPECT_EQ(backend_.kept.size(), 1u);
  EXPECT_TRUE(backend_.carried_out.empty());
}

TEST_F(DomainsTest, AnAddressSpaceOffersTheIntersectionOfItsDomainsApertures) {
  ASSERT_EQ(Add(kFirst, Iommu(kTwoWindows)), 0);
  EXPECT_EQ(Usable(), (std::vector<IovaRange>{kTwoWindows[0], kTwoWindows[1]}));
  ASSERT_EQ(Add(kSecond, Iommu(kLow39)), 0);
  EXPECT_EQ(Usable(), (std::vector<IovaRange>{kTwoWindows[0]}));
  ASSERT_TRUE(space_.Reserve({kGib, kGib + kPage - 1}, kDevice).ok());
  EXPECT_EQ(Usable(), (std::vector<IovaRange>{{0, kGib - 1}, {kGib + kPage, 2 * kGib - 1}}));
  EXPECT_EQ(Map(kGib - kPage, 3 * kPage), EINVAL);
  space_.RemoveDomain(kFirst);
  space_.Release(kDevice);
  EXPECT_EQ(Usable(), (std::vector<IovaRange>{kLow39[0]}));
}

TEST_F(DomainsTest, ADomainThatExcludesAMappingIsRefusedAndChangesNothing) {
  ASSERT_EQ(Add(kFirst, Iommu(kTwoWindows)), 0);
  ASSERT_EQ(Map(kTwoWindows[1].first, kPage), 0);
  const auto usable = Usable();
  EXPECT_EQ(Add(kSecond, Iommu(kLow39)), EADDRINUSE);
  EXPECT_EQ(Usable(), usable);
  EXPECT_EQ(space_.state().domain_count, 1u);
}

TEST_F(DomainsTest, TheFirstDomainCarriesEverythingOutOrNothing) {
  for (uint64_t i = 0; i < 3; ++i) ASSERT_EQ(Map(i * kPage, kPage), 0);
  backend_.refused = 2 * kPage;
  EXPECT_EQ(Add(kFirst, Iommu(kLow39)), EFAULT);
  EXPECT_TRUE(backend_.carried_out.empty());
  EXPECT_EQ(backend_.kept.size(), 3u);
  EXPECT_EQ(Usable(), (std::vector<IovaRange>{{0, UINT64_MAX}}));
  backend_.refused = UINT64_MAX;
  EXPECT_EQ(Add(kFirst, Iommu(kLow39)), 0);
  EXPECT_EQ(backend_.carried_out.size(), 3u);
  EXPECT_TRUE(backend_.kept.empty());
  ASSERT_EQ(Add(kSecond, Iommu(kTwoWindows)), 0);
  EXPECT_EQ(backend_.carried_out[0], 1);
  space_.RemoveDomain(kFirst);
  EXPECT_EQ(backend_.carried_out.size(), 3u);
  space_.RemoveDomain(kSecond);
  EXPECT_TRUE(backend_.carried_out.empty());
  EXPECT_EQ(backend_.kept.size(), 3u);
}

TEST_F(DomainsTest, PagesBecomeAsLargeAsTheDomainsNeedThem) {
  ASSERT_EQ(Map(kPage / 2, kPage, kPage / 2), 0);
  EXPECT_EQ(Add(kFirst, Iommu(kLow39, kPage)), EADDRINUSE);
  EXPECT_EQ(Add(kFirst, Iommu(kLow39, kPage / 2 | kPage)), 0);
  EXPECT_EQ(space_.page_size(), kPage / 2);
  EXPECT_EQ(Map(8 * kPage + 1, kPage / 2), EINVAL);
  EXPECT_EQ(Map(8 * kPage, kPage / 2, 1), EINVAL);
  EXPECT_EQ(Add(kSecond, Iommu(kLow39, 16 * kPage)), EINVAL);
  space_.RemoveDomain(kFirst);
  EXPECT_EQ(space_.page_size(), 1u);
}

TEST_F(DomainsTest, AllowedRangesKeepDomainsOutAndSayWhereRoomIsTaken) {
  ASSERT_EQ(Allow({{kGib, 2 * kGib - 1}, {4 * kGib, 5 * kGib - 1}}), 0);
  EXPECT_EQ(*space_.FindRoom(kPage, 0), kGib);
  EXPECT_EQ(Map(kGib, kGib), 0);
  EXPECT_EQ(*space_.FindRoom(kPage, 0), 4 * kGib);
  // What is allowed need not be where mappings lie.
  EXPECT_EQ(Map(0, kPage), 0);
  EXPECT_EQ(Add(kFirst, Iommu(kTwoWindows)), EADDRINUSE);
  EXPECT_EQ(Allow({{kGib, 2 * kGib - 1}}), 0);
  EXPECT_EQ(Add(kFirst, Iommu(kTwoWindows)), 0);
  EXPECT_EQ(Allow({{kGib, 3 * kGib - 1}}), EADDRINUSE);
  EXPECT_EQ(space_.FindRoom(kPage, 0).error().code, ENOSPC);
}

TEST_F(DomainsTest, RoomIsTheLowestThatIsAlignedAsTheMemoryIs) {
  // Never 0, and never the first page.
  EXPECT_EQ(*space_.FindRoom(kPage, 0), kPage);
  EXPECT_EQ(*space_.FindRoom(4 * kPage, 0), 4 * kPage);
  EXPECT_EQ(*space_.FindRoom(4 * kPage, 0x7000001000), kPage);
  EXPECT_EQ(*space_.FindRoom(kGib, 0), uint64_t{2} << 20);
  EXPECT_EQ(*space_.FindRoom(16, 0x7000001010), kPage | 0x10);
  ASSERT_EQ(Map(2 * kPage, kPage), 0);
  EXPECT_EQ(*space_.FindRoom(kPage, 0x7000001000), kPage);
  EXPECT_EQ(*space_.FindRoom(2 * kPage, 0x7000001000), 3 * kPage);
  EXPECT_EQ(space_.FindRoom(0, 0).error().code, EOVERFLOW);
  EXPECT_EQ(space_.FindRoom(UINT64_MAX / 2, 0).error().code, EOVERFLOW);
  ASSERT_EQ(Add(kFirst, Iommu(kTwoWindows)), 0);
  EXPECT_EQ(space_.FindRoom(kPage, 0x7000000800).error().code, EINVAL);
  EXPECT_EQ(*space_.FindRoom(8 * kGib, 0), kTwoWindows[1].first);
}

TEST_F(DomainsTest, UnmappingTakesWholeMappingsOnly) {
  ASSERT_EQ(Map(0, kPage), 0);
  ASSERT_EQ(Map(4 * kPage, 2 * kPage), 0);
  uint64_t bytes = 0;
  EXPECT_EQ(space_.UnmapWhole({5 * kPage, 9 * kPage - 1}, bytes).error().code, ENOENT);
  EXPECT_EQ(bytes, 0u);
  // As the kernel does: what came before the one that is cut is gone.
  EXPECT_EQ(space_.UnmapWhole({0, 5 * kPage - 1}, bytes).error().code, ENOENT);
  EXPECT_EQ(bytes, kPage);
  EXPECT_EQ(space_.state().mappings.size, 1u);
  EXPECT_EQ(space_.UnmapWhole({0, UINT64_MAX}, bytes).error().code, 0);
  EXPECT_EQ(bytes, 3 * kPage);
}

TEST_F(DomainsTest, PiecesAreMappedAllOrNone) {
  const uint32_t flags = kAccessRead | kMayPermitWriting;
  Mapping pieces[] = {{.first = 0, .last = kPage - 1, .owner = 1, .flags = flags},
                      {.first = kPage, .last = 2 * kPage - 1, .owner = 1, .flags = flags}};
  ASSERT_EQ(Add(kFirst, Iommu(kLow39)), 0);
  backend_.refused = kPage;
  EXPECT_EQ(space_.MapAll(pieces).error().code, EFAULT);
  EXPECT_TRUE(backend_.carried_out.empty());
  EXPECT_EQ(space_.state().mappings.size, 0u);
  backend_.refused = UINT64_MAX;
  pieces[1].flags = kAccessWrite;
  EXPECT_EQ(space_.MapAll(pieces).error().code, EPERM);
  pieces[1].flags = flags;
  EXPECT_EQ(space_.MapAll(pieces).error().code, 0);
  EXPECT_EQ(backend_.carried_out.size(), 2u);
}

TEST_F(DomainsTest, SmallPagesHaveToBeAskedForInTime) {
  EXPECT_EQ(space_.SetSmallPagesOnly(true).error().code, 0);
  EXPECT_EQ(space_.page_size(), kPage);
  ASSERT_EQ(Add(kFirst, Iommu(kLow39, kPage / 2 | kPage)), 0);
  EXPECT_EQ(space_.page_size(), kPage);
  ASSERT_EQ(Map(0, kPage), 0);
  EXPECT_EQ(space_.SetSmallPagesOnly(true).error().code, 0);
  EXPECT_EQ(space_.SetSmallPagesOnly(false).error().code, 0);
  EXPECT_EQ(space_.page_size(), kPage / 2);
  EXPECT_EQ(space_.SetSmallPagesOnly(true).error().code, EINVAL);
}

}  // namespace
}  // namespace ioas
