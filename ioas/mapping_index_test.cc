#include "ioas/mapping_index.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "ioas/base/arena.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;

class MappingIndexTest : public testing::Test {
 protected:
  void SetUp() override { MakeIndex(size_t{256} << 20); }
  void TearDown() override { arena_.Unmap(); }

  // Starts afresh with an index in an arena of `arena_bytes`.
  void MakeIndex(size_t arena_bytes) {
    arena_.Unmap();
    arena_ = *Arena::CreatePrivate(arena_bytes);
    const Result<ArenaRef<MappingIndexState>> state = arena_.New<MappingIndexState>();
    ASSERT_TRUE(state.ok());
    state_ = arena_.Get(*state);
    empty_bytes_ = arena_.bytes_in_use();
  }

  MappingIndex Index() const { return {arena_, state_}; }

  Arena arena_;
  MappingIndexState* state_ = nullptr;
  size_t empty_bytes_ = 0;
};

Mapping Make(uint64_t first, uint64_t last) {
  return {.first = first,
          .last = last,
          .user_address = ~first,
          .owner = static_cast<uint32_t>(first >> 3),
          .flags = static_cast<uint32_t>(last),
          .extra = 7};
}

std::vector<Mapping> Everything(const MappingIndex& index) {
  std::vector<Mapping> all;
  for (auto m = index.FindFirstOverlapping(0, UINT64_MAX); m; m = index.Next(m->first)) {
    all.push_back(*m);
  }
  return all;
}

// The same mappings in a std::map, and the same questions answered by it.
class Reference {
 public:
  bool Insert(const Mapping& mapping) {
    if (FindFirstOverlapping(mapping.first, mapping.last) != nullptr) return false;
    by_first_[mapping.first] = mapping;
    return true;
  }
  bool Erase(uint64_t first) { return by_first_.erase(first) != 0; }
  const Mapping* FindFirstOverlapping(uint64_t first, uint64_t last) const {
    auto above = by_first_.upper_bound(first);
    if (above != by_first_.begin() && std::prev(above)->second.last >= first) {
      return &std::prev(above)->second;
    }
    return above != by_first_.end() && above->first <= last ? &above->second : nullptr;
  }
  const Mapping* Next(uint64_t first) const {
    auto above = by_first_.upper_bound(first);
    return above != by_first_.end() ? &above->second : nullptr;
  }
  const std::map<uint64_t, Mapping>& by_first() const { return by_first_; }

 private:
  std::map<uint64_t, Mapping> by_first_;
};

bool Same(const std::optional<Mapping>& found, const Mapping* expected) {
  if (!found || expected == nullptr) return !found && expected == nullptr;
  return *found == *expected;
}

TEST_F(MappingIndexTest, AnEmptyIndexFindsNothing) {
  const MappingIndex index = Index();
  EXPECT_FALSE(index.FindContaining(0));
  EXPECT_FALSE(index.FindFirstOverlapping(0, UINT64_MAX));
  EXPECT_FALSE(index.Next(0));
  EXPECT_FALSE(Index().Erase(0));
  EXPECT_EQ(index.size(), 0u);
  EXPECT_TRUE(index.Validate());
}

TEST_F(MappingIndexTest, AMappingIsFoundByEachAddressItCovers) {
  MappingIndex index = Index();
  ASSERT_TRUE(index.Insert(Make(0x1000, 0x2fff)).ok());
  for (uint64_t iova : {0x1000, 0x1001, 0x2000, 0x2fff}) {
    ASSERT_TRUE(index.FindContaining(iova));
    EXPECT_EQ(*index.FindContaining(iova), Make(0x1000, 0x2fff));
  }
  EXPECT_FALSE(index.FindContaining(0xfff));
  EXPECT_FALSE(index.FindContaining(0x3000));
  EXPECT_EQ(index.size(), 1u);
}

TEST_F(MappingIndexTest, AnOverlapIsRefusedAndChangesNothing) {
  MappingIndex index = Index();
  ASSERT_TRUE(index.Insert(Make(0x2000, 0x3fff)).ok());
  ASSERT_TRUE(index.Insert(Make(0x6000, 0x6fff)).ok());
  const std::vector<Mapping> before = Everything(index);
  for (const auto& [first, last] : std::vector<std::pair<uint64_t, uint64_t>>{{0x2000, 0x3fff},
                                                                              {0x1000, 0x2000},
                                                                              {0x3fff, 0x3fff},
                                                                              {0x3000, 0x5000},
                                                                              {0x4000, 0x6000},
                                                                              {0, UINT64_MAX},
                                                                              {0x6fff, 0x7000},
                                                                              {0x2800, 0x2900}}) {
    EXPECT_EQ(index.Insert(Make(first, last)).error().code, EEXIST) << first;
  }
  EXPECT_EQ(Everything(index), before);
  EXPECT_TRUE(index.Insert(Make(0x4000, 0x5fff)).ok());
}

TEST_F(MappingIndexTest, ARangeThatEndsBeforeItBeginsIsRefused) {
  EXPECT_EQ(Index().Insert(Make(2, 1)).error().code, EINVAL);
  EXPECT_EQ(Index().size(), 0u);
}

TEST_F(MappingIndexTest, TheEndsOfTheAddressSpaceCanBeMapped) {
  MappingIndex index = Index();
  ASSERT_TRUE(index.Insert(Make(0, 0)).ok());
  ASSERT_TRUE(index.Insert(Make(UINT64_MAX, UINT64_MAX)).ok());
  EXPECT_EQ(index.FindContaining(0)->last, 0u);
  EXPECT_EQ(index.FindContaining(UINT64_MAX)->first, UINT64_MAX);
  EXPECT_FALSE(index.FindContaining(1));
  EXPECT_FALSE(index.FindContaining(UINT64_MAX - 1));
  EXPECT_EQ(index.Next(0)->first, UINT64_MAX);
  EXPECT_FALSE(index.Next(UINT64_MAX));
  EXPECT_EQ(index.Insert(Make(5, UINT64_MAX)).error().code, EEXIST);
  EXPECT_TRUE(index.Validate());
  EXPECT_TRUE(index.Erase(UINT64_MAX));
  EXPECT_TRUE(index.Insert(Make(1, UINT64_MAX)).ok());
  EXPECT_TRUE(index.Erase(0));
  EXPECT_TRUE(index.Erase(1));
  ASSERT_TRUE(index.Insert(Make(0, UINT64_MAX)).ok());
  EXPECT_EQ(index.FindContaining(UINT64_MAX)->first, 0u);
  EXPECT_TRUE(index.Validate());
}

TEST_F(MappingIndexTest, TheHighestAddressIsFoundInALargeIndex) {
  MappingIndex index = Index();
  for (uint64_t i = 0; i < 20000; ++i) {
    ASSERT_TRUE(index.Insert(Make(UINT64_MAX - i, UINT64_MAX - i)).ok());
  }
  EXPECT_TRUE(index.Validate());
  for (uint64_t i = 0; i < 20000; ++i) {
    ASSERT_EQ(index.FindContaining(UINT64_MAX - i)->first, UINT64_MAX - i);
  }
  for (uint64_t i = 0; i < 20000; ++i) ASSERT_TRUE(index.Erase(UINT64_MAX - i));
  index.Clear();
  EXPECT_EQ(arena_.bytes_in_use(), empty_bytes_);
}

TEST_F(MappingIndexTest, AnEmptiedIndexKeepsALeafForTheNextMapping) {
  MappingIndex index = Index();
  for (uint64_t i = 0; i < 20000; ++i) ASSERT_TRUE(index.Insert(Make(i, i)).ok());
  for (uint64_t i = 0; i < 20000; ++i) ASSERT_TRUE(index.Erase(i));
  const size_t leaf_bytes = arena_.bytes_in_use() - empty_bytes_;
  EXPECT_EQ(leaf_bytes, sizeof(MappingLeaf));
  EXPECT_TRUE(index.Validate());
  EXPECT_FALSE(index.FindContaining(0));
  EXPECT_FALSE(index.FindFirstOverlapping(0, UINT64_MAX));
  EXPECT_FALSE(index.Next(0));
  EXPECT_FALSE(index.Erase(0));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(index.Insert(Make(0, UINT64_MAX)).ok());
    EXPECT_EQ(arena_.bytes_in_use() - empty_bytes_, leaf_bytes);
    ASSERT_TRUE(index.Erase(0));
    EXPECT_EQ(arena_.bytes_in_use() - empty_bytes_, leaf_bytes);
  }
  index.Clear();
  EXPECT_EQ(arena_.bytes_in_use(), empty_bytes_);
}

TEST_F(MappingIndexTest, OnlyTheFirstAddressNamesAMappingToErase) {
  MappingIndex index = Index();
  ASSERT_TRUE(index.Insert(Make(0x1000, 0x1fff)).ok());
  EXPECT_FALSE(index.Erase(0x1001));
  EXPECT_FALSE(index.Erase(0xfff));
  EXPECT_TRUE(index.Erase(0x1000));
  EXPECT_FALSE(index.Erase(0x1000));
}

TEST_F(MappingIndexTest, UpdateChangesThePayloadAndNothingElse) {
  MappingIndex index = Index();
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(index.Insert(Make(i * kPage, i * kPage + 99)).ok());
  }
  EXPECT_TRUE(index.Update(500 * kPage, [](Mapping& m) {
    m = {.first = 1, .last = 2, .user_address = 3, .owner = 4, .flags = 5, .extra = 6};
  }));
  const Mapping expected = {.first = 500 * kPage,
                            .last = 500 * kPage + 99,
                            .user_address = 3,
                            .owner = 4,
                            .flags = 5,
                            .extra = 6};
  EXPECT_EQ(*index.FindContaining(500 * kPage), expected);
  EXPECT_EQ(*index.FindContaining(501 * kPage), Make(501 * kPage, 501 * kPage + 99));
  EXPECT_FALSE(index.Update(500 * kPage + 1, [](Mapping&) { FAIL(); }));
  EXPECT_FALSE(index.Update(5000 * kPage, [](Mapping&) { FAIL(); }));
}

TEST_F(MappingIndexTest, AWalkMayEraseWhatItMeets) {
  MappingIndex index = Index();
  for (uint64_t i = 0; i < 5000; ++i) {
    ASSERT_TRUE(index.Insert(Make(i * kPage, i * kPage + kPage - 1)).ok());
  }
  uint64_t expected = 100 * kPage;
  for (auto m = index.FindFirstOverlapping(100 * kPage, 4000 * kPage - 1);
       m && m->first < 4000 * kPage; m = index.Next(m->first)) {
    ASSERT_EQ(m->first, expected);
    ASSERT_TRUE(index.Erase(m->first));
    expected += kPage;
  }
  EXPECT_EQ(index.size(), 1100u);
  EXPECT_TRUE(index.Validate());
}

// A mapping may reach over the bound between two leaves that others, erased since, have set.
TEST_F(MappingIndexTest, AMappingMayTakeThePlaceOfManySmallOnes) {
  MappingIndex index = Index();
  for (uint64_t i = 0; i < 20000; ++i) ASSERT_TRUE(index.Insert(Make(i * 16, i * 16 + 15)).ok());
  for (uint64_t i = 1; i < 19999; ++i) ASSERT_TRUE(index.Erase(i * 16));
  ASSERT_TRUE(index.Insert(Make(16, 19999 * 16 - 1)).ok());
  EXPECT_TRUE(index.Validate());
  EXPECT_EQ(index.FindContaining(10000 * 16)->first, 16u);
  EXPECT_EQ(index.size(), 3u);
}

struct Density {
  uint64_t places;  // how many places of 16 addresses the mappings are spread over
  uint64_t length;  // how many places a mapping covers at most
  size_t live;      // how many mappings there are about
};

class MappingIndexRandomTest : public MappingIndexTest,
                               public testing::WithParamInterface<Density> {};

TEST_P(MappingIndexRandomTest, AnswersAreThoseOfAnOrderedMap) {
  const Density density = GetParam();
  MappingIndex index = Index();
  Reference reference;
  std::mt19937_64 random(density.places);
  const auto place = [&] { return random() % density.places * 16; };
  for (int i = 0; i < 60000; ++i) {
    // For a while it grows, then it shrinks, and so on.
    const bool grow = reference.by_first().size() < density.live
                          ? random() % 100 < (i / 10000 % 2 == 0 ? 80 : 30)
                          : false;
    if (grow) {
      const uint64_t first = place();
      const Mapping mapping = Make(first, first + (1 + random() % density.length) * 16 - 1);
      ASSERT_EQ(index.Insert(mapping).ok(), reference.Insert(mapping));
    } else {
      const Mapping* victim = reference.Next(place());
      const uint64_t first = victim != nullptr ? victim->first : place();
      ASSERT_EQ(index.Erase(first), reference.Erase(first));
    }
    const uint64_t iova = place() + random() % 16;
    const uint64_t last = iova + random() % (density.length * 32);
    ASSERT_TRUE(Same(index.FindContaining(iova), reference.FindFirstOverlapping(iova, iova)));
    ASSERT_TRUE(
        Same(index.FindFirstOverlapping(iova, last), reference.FindFirstOverlapping(iova, last)));
    ASSERT_TRUE(Same(index.Next(iova), reference.Next(iova)));
    const MappingIndex::Place place = index.Find(iova);
    ASSERT_TRUE(Same(index.At(place), reference.FindFirstOverlapping(iova, iova)));
    ASSERT_EQ(index.IsFree(place, last), reference.FindFirstOverlapping(iova, last) == nullptr);
    ASSERT_EQ(index.size(), reference.by_first().size());
    ASSERT_TRUE(i % 500 != 0 || index.Validate());
  }
  const std::vector<Mapping> all = Everything(index);
  ASSERT_TRUE(std::equal(all.begin(), all.end(), reference.by_first().begin(),
                         reference.by_first().end(),
                         [](const Mapping& a, const auto& b) { return a == b.second; }));
  index.Clear();
  EXPECT_EQ(arena_.bytes_in_use(), empty_bytes_);
}

INSTANTIATE_TEST_SUITE_P(Densities, MappingIndexRandomTest,
                         testing::Values(Density{30, 1, 30}, Density{300, 4, 300},
                                         Density{2000, 1, 2000}, Density{20000, 3, 10000},
                                         Density{uint64_t{1} << 50, 1000, 30000}));

TEST_F(MappingIndexTest, MemoryThatRunsOutChangesNothing) {
  constexpr size_t kArenaBytes = size_t{4} << 20;
  MakeIndex(kArenaBytes);
  MappingIndex index = Index();
  std::mt19937_64 random(5);
  const auto page = [&] { return (random() >> 28) * kPage; };
  std::vector<uint64_t> refused;
  while (refused.size() < 50) {
    const uint64_t first = page();
    const size_t size = index.size();
    const Status inserted = index.Insert(Make(first, first + kPage - 1));
    if (inserted.ok() || inserted.error().code == EEXIST) continue;
    ASSERT_EQ(inserted.error().code, ENOMEM);
    ASSERT_EQ(index.size(), size);
    ASSERT_FALSE(index.FindContaining(first));
    refused.push_back(first);
  }
  EXPECT_TRUE(index.Validate());
  EXPECT_GT(index.size(), kArenaBytes / 64);
  // With room made, they go in.
  for (size_t left = index.size() / 2; left > 0; --left) {
    ASSERT_TRUE(index.Erase(index.FindFirstOverlapping(page() / 4, UINT64_MAX)->first));
  }
  for (uint64_t first : refused) EXPECT_TRUE(index.Insert(Make(first, first + kPage - 1)).ok());
  EXPECT_TRUE(index.Validate());
}

// Leaves the arena room for `count` more nodes, for each number that a split can need.
TEST_F(MappingIndexTest, EachAllocationThatASplitNeedsMayFail) {
  for (size_t room = 0; room < 3; ++room) {
    MakeIndex(size_t{16} << 20);
    MappingIndex index = Index();
    uint64_t next = 0;
    int refusals = 0;
    while (index.size() < 20000) {
      // Take all memory away apart from `room` branches, which are the larger nodes.
      std::vector<uint32_t> taken;
      std::vector<uint32_t> kept;
      for (size_t i = 0; i < room; ++i) kept.push_back(*arena_.Allocate(sizeof(MappingBranch)));
      for (size_t bytes : {size_t{1} << 20, kArenaPage, sizeof(MappingBranch), kArenaUnit}) {
        for (Result<uint32_t> unit = arena_.Allocate(bytes); unit.ok();
             unit = arena_.Allocate(bytes)) {
          taken.push_back(*unit);
          taken.push_back(static_cast<uint32_t>(bytes));
        }
      }
      for (uint32_t unit : kept) arena_.Free(unit, sizeof(MappingBranch));
      const size_t in_use = arena_.bytes_in_use();
      Status inserted;
      while ((inserted = index.Insert(Make(next, next))).ok()) ++next;
      ASSERT_EQ(inserted.error().code, ENOMEM);
      ASSERT_GE(arena_.bytes_in_use(), in_use);
      ASSERT_FALSE(index.FindContaining(next));
      ASSERT_EQ(index.size(), next);
      ASSERT_TRUE(index.Validate());
      ++refusals;
      for (size_t i = 0; i < taken.size(); i += 2) arena_.Free(taken[i], taken[i + 1]);
      for (int i = 0; i < 400; ++i, ++next) ASSERT_TRUE(index.Insert(Make(next, next)).ok());
    }
    EXPECT_GT(refusals, 10);
  }
}

TEST_F(MappingIndexTest, MemoryAMappingStaysLowThroughHeavyChurn) {
  constexpr size_t kLive = 200000;
  MappingIndex index = Index();
  std::mt19937_64 random(9);
  std::vector<uint64_t> live;
  live.reserve(kLive);
  const auto insert = [&] {
    const uint64_t first = (random() >> 16) & ~(kPage - 1);
    if (!index.Insert(Make(first, first + kPage - 1)).ok()) return false;
    live.push_back(first);
    return true;
  };
  while (live.size() < kLive) insert();
  EXPECT_LE(arena_.bytes_in_use(), 56 * kLive);
  for (size_t i = 0; i < 5 * kLive; ++i) {
    std::swap(live[random() % live.size()], live.back());
    ASSERT_TRUE(index.Erase(live.back()));
    live.pop_back();
    while (!insert()) {
    }
  }
  EXPECT_LE(arena_.bytes_in_use(), 60 * kLive);
  EXPECT_TRUE(index.Validate());
  for (uint64_t first : live) ASSERT_TRUE(index.Erase(first));
  index.Clear();
  EXPECT_EQ(arena_.bytes_in_use(), empty_bytes_);
}

}  // namespace
}  // namespace ioas
