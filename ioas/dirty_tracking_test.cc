// What devices write, as address spaces keep it.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "ioas/address_space.h"
#include "ioas/dirty_pages.h"
#include "ioas/domain.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kLeaf = kPage << 12;  // what one block of bits is for
constexpr size_t kBlock = 1024;          // the largest that is needed for bits
constexpr uint32_t kOwner = 1;
constexpr uint32_t kOther = 2;
constexpr IovaRange kAperture[] = {{0, (uint64_t{1} << 39) - 1}};
constexpr IommuProperties kIommu = {.page_sizes = kPage, .apertures = kAperture, .reserved = {}};

class Backend : public ioas::Backend {
 public:
  Status Map(const IoasHandle& /*space*/, const Mapping& mapping) override {
    if (mapping.first == refused) return Error{EFAULT, "refused by the test"};
    return {};
  }
  Status Unmap(const IoasHandle& /*space*/, const Mapping& /*mapping*/) override { return {}; }
  void Discard(const IoasHandle& /*space*/, const IovaRange& /*range*/) override {}

  uint64_t refused = UINT64_MAX;
};

class Written final : public DirtyPageSink {
 public:
  void OnWritten(const IovaRange& range) override {
    for (uint64_t at = range.first; at < range.last; at += kPage) pages.push_back(at / kPage);
  }
  std::vector<uint64_t> pages;
};
using Pages = std::vector<uint64_t>;

class DirtyTrackingTest : public testing::Test {
 protected:
  DirtyTrackingTest()
      : fd_(memfd_create("arena", MFD_CLOEXEC)),
        arena_(*Arena::Map(fd_, 4 << 20)),
        domain_(*arena_.New<DomainState>()),
        other_(*arena_.New<DomainState>()),
        space_(arena_, *AddressSpace::CreateWithoutDomain(arena_), &backend_) {
    EXPECT_TRUE(space_.AddDomain(kOwner, kIommu, domain_).ok());
    EXPECT_TRUE(space_.AddDomain(kOther, kIommu, other_).ok());
    before_ = arena_.bytes_in_use();
  }
  ~DirtyTrackingTest() override {
    space_.UnmapAll();
    space_.RemoveDomain(kOwner);
    space_.RemoveDomain(kOther);
    space_.Destroy();
    arena_.Delete(domain_);
    arena_.Delete(other_);
    EXPECT_EQ(arena_.bytes_in_use(), 0u);
    arena_.Unmap();
    close(fd_);
  }
  int Map(uint64_t first, uint64_t size, uint32_t access = kAccessRead | kAccessWrite) {
    const Mapping piece = {.first = first,
                           .last = first + (size - 1),
                           .user_address = 0x7000000000,
                           .owner = 1,
                           .flags = access | kMayPermitWriting};
    return space_.MapAll({&piece, 1}).error().code;
  }
  int Unmap(uint64_t first, uint64_t size) {
    uint64_t bytes = 0;
    return space_.UnmapWhole({first, first + (size - 1)}, bytes).error().code;
  }
  Pages Read(ArenaRef<DomainState> domain, const IovaRange& range, bool clear = false) {
    Written written;
    space_.ReadDirtyPages(domain, range, clear, written);
    return written.pages;
  }
  int Track(bool enable) { return space_.TrackDirtyPages(domain_, enable).error().code; }
  // Leaves no room for a block of `size` bytes.
  std::vector<ArenaRef<std::byte>> FillArena(size_t size) {
    std::vector<ArenaRef<std::byte>> blocks;
    for (;;) {
      const auto block = arena_.New<std::byte>(size);
      if (!block.ok()) return blocks;
      blocks.push_back(*block);
    }
  }

  int fd_;
  Backend backend_;
  Arena arena_;
  ArenaRef<DomainState> domain_;
  ArenaRef<DomainState> other_;
  AddressSpace space_;
  size_t before_ = 0;
};

TEST_F(DirtyTrackingTest, EachDomainHasItsOwn) {
  ASSERT_EQ(Map(0, 4 * kPage), 0);
  ASSERT_EQ(Track(true), 0);
  ASSERT_TRUE(space_.TrackDirtyPages(other_, true).ok());
  space_.MarkDirty(domain_, {kPage, kPage});
  space_.MarkDirty(other_, {2 * kPage, 2 * kPage});
  EXPECT_EQ(Read(domain_, {0, 4 * kPage - 1}), (Pages{1}));
  EXPECT_EQ(Read(other_, {0, 4 * kPage - 1}, true), (Pages{2}));
  EXPECT_EQ(Read(domain_, {0, 4 * kPage - 1}), (Pages{1}));
}

TEST_F(DirtyTrackingTest, AHoleEndsARead) {
  ASSERT_EQ(Map(0, 2 * kPage), 0);
  ASSERT_EQ(Map(2 * kPage, 2 * kPage), 0);
  ASSERT_EQ(Map(5 * kPage, kPage), 0);
  ASSERT_EQ(Track(true), 0);
  space_.MarkDirty(domain_, {0, 4 * kPage - 1});
  space_.MarkDirty(domain_, {5 * kPage, 6 * kPage - 1});
  EXPECT_EQ(Read(domain_, {kPage, 6 * kPage - 1}, true), (Pages{1, 2, 3}));
  EXPECT_EQ(Read(domain_, {4 * kPage, 6 * kPage - 1}), Pages());
  EXPECT_EQ(Read(domain_, {5 * kPage, 6 * kPage - 1}), (Pages{5}));
  EXPECT_EQ(Read(domain_, {0, kPage - 1}), (Pages{0}));
}

TEST_F(DirtyTrackingTest, BeginningAnewForgets) {
  ASSERT_EQ(Map(0, 4 * kPage), 0);
  ASSERT_EQ(Track(true), 0);
  space_.MarkDirty(domain_, {0, 0});
  ASSERT_EQ(Track(true), 0);
  EXPECT_EQ(Read(domain_, {0, 4 * kPage - 1}), Pages());
  space_.MarkDirty(domain_, {0, 0});
  ASSERT_EQ(Track(false), 0);
  EXPECT_EQ(Read(domain_, {0, 4 * kPage - 1}), Pages());
  ASSERT_EQ(Track(true), 0);
  EXPECT_EQ(Read(domain_, {0, 4 * kPage - 1}), Pages());
}

TEST_F(DirtyTrackingTest, BitsAreWhereSomethingIsMappedAndNowhereElse) {
  ASSERT_EQ(Track(true), 0);
  const size_t nothing = arena_.bytes_in_use();
  EXPECT_EQ(nothing, before_);
  ASSERT_EQ(Map(0, kPage), 0);
  const size_t one = arena_.bytes_in_use();
  ASSERT_EQ(Map(kPage, kPage), 0);
  ASSERT_EQ(Map(1000 * kLeaf, kPage), 0);
  EXPECT_GT(arena_.bytes_in_use(), one);
  ASSERT_EQ(Unmap(1000 * kLeaf, kPage), 0);
  ASSERT_EQ(Unmap(0, kPage), 0);
  space_.MarkDirty(domain_, {kPage, kPage});
  ASSERT_EQ(Unmap(kPage, kPage), 0);
  ASSERT_EQ(Map(kPage, kPage), 0);
  EXPECT_EQ(Read(domain_, {kPage, 2 * kPage - 1}), Pages());
  space_.UnmapAll();
  ASSERT_EQ(Map(0, kPage), 0);
  EXPECT_EQ(arena_.bytes_in_use(), one);
}

TEST_F(DirtyTrackingTest, AMapThatTheBackendRefusesLeavesNothingBehind) {
  ASSERT_EQ(Map(0, kPage), 0);
  ASSERT_EQ(Track(true), 0);
  space_.MarkDirty(domain_, {0, 0});
  const size_t before = arena_.bytes_in_use();
  backend_.refused = kPage;
  EXPECT_EQ(Map(kPage, 50 * kLeaf), EFAULT);
  EXPECT_EQ(arena_.bytes_in_use(), before);
  EXPECT_EQ(Read(domain_, {0, kPage - 1}), (Pages{0}));
}

TEST_F(DirtyTrackingTest, WithoutMemoryForTheBitsACallFailsAndChangesNothing) {
  ASSERT_EQ(Map(0, kPage), 0);
  ASSERT_EQ(Map(kLeaf, 100 * kLeaf), 0);
  std::vector<ArenaRef<std::byte>> blocks = FillArena(kBlock);
  EXPECT_EQ(Track(true), ENOMEM);
  space_.MarkDirty(domain_, {0, 0});
  EXPECT_EQ(Read(domain_, {0, kPage - 1}), Pages());
  for (const auto& block : blocks) arena_.Delete(block, kBlock);

  ASSERT_EQ(Track(true), 0);
  space_.MarkDirty(domain_, {0, 0});
  blocks = FillArena(kBlock);
  const size_t before = arena_.bytes_in_use();
  EXPECT_EQ(Map(200 * kLeaf, 100 * kLeaf), ENOMEM);
  EXPECT_EQ(arena_.bytes_in_use(), before);
  EXPECT_FALSE(space_.mappings().FindContaining(200 * kLeaf));
  // What is mapped loses nothing.
  space_.MarkDirty(domain_, {kLeaf, 100 * kLeaf});
  EXPECT_EQ(Read(domain_, {0, kPage - 1}), (Pages{0}));
  EXPECT_EQ(Read(domain_, {kLeaf, 101 * kLeaf - 1}).size(), 99 * (kLeaf / kPage) + 1);
  for (const auto& block : blocks) arena_.Delete(block, kBlock);
}

// Nobody knows what it wrote and did not mark.
TEST_F(DirtyTrackingTest, AfterADeathWithTheLockAllThatMayBeWrittenCounts) {
  ASSERT_EQ(Map(0, 2 * kPage), 0);
  ASSERT_EQ(Map(2 * kPage, kPage, kAccessRead), 0);
  ASSERT_EQ(Track(true), 0);
  const pid_t child = fork();
  if (child == 0) {
    const AddressSpace::Lock lock(space_);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const AddressSpace::Lock lock(space_);
  EXPECT_EQ(Read(domain_, {0, 3 * kPage - 1}, true), (Pages{0, 1}));
  EXPECT_EQ(Read(domain_, {0, 3 * kPage - 1}), Pages());
}

}  // namespace
}  // namespace ioas
