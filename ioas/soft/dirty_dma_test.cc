// What devices write through a page table that records it.
#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "ioas/dirty_pages.h"
#include "ioas/domain.h"
#include "ioas/soft/dma.h"
#include "ioas/soft/test_host.h"

namespace ioas::soft {
namespace {

constexpr uint32_t kOwner = 1;
constexpr uint64_t kPages = 16;
constexpr IovaRange kAll = {0, kPages* kEchoPage - 1};

class Written final : public DirtyPageSink {
 public:
  void OnWritten(const IovaRange& range) override {
    for (uint64_t at = range.first; at < range.last; at += kEchoPage) pages.insert(at / kEchoPage);
  }
  std::set<uint64_t> pages;
};

class DirtyDmaTest : public TestHost {
 protected:
  void SetUp() override {
    TestHost::SetUp();
    space_ = *AddressSpace::CreateWithoutDomain(arena_);
    domain_ = *arena_.New<DomainState>();
    iommu_ = std::make_unique<SoftBackend>(host_->processes());
    view_ = std::make_unique<AddressSpace>(arena_, space_, iommu_.get());
    const AddressSpace::Lock lock(*view_);
    ASSERT_TRUE(view_->AddDomain(kOwner, SoftBackend::properties(), domain_).ok());
    device_->Attach({space_, domain_});
  }

  int MapPages(uint64_t first, uint64_t count, uint32_t access = kAccessRead | kAccessWrite) {
    const AddressSpace::Lock lock(*view_);
    const Mapping piece = {.first = first * kEchoPage,
                           .last = (first + count) * kEchoPage - 1,
                           .user_address = reinterpret_cast<uint64_t>(memory_ + first * kEchoPage),
                           .owner = *host_->processes().Register(),
                           .flags = access | kMayPermitWriting};
    return view_->MapAll({&piece, 1}).error().code;
  }
  void Track(bool enable) {
    const AddressSpace::Lock lock(*view_);
    ASSERT_TRUE(view_->TrackDirtyPages(domain_, enable).ok());
  }
  std::set<uint64_t> Take(const IovaRange& range = kAll) {
    const AddressSpace::Lock lock(*view_);
    Written written;
    view_->ReadDirtyPages(domain_, range, true, written);
    return written.pages;
  }
  // Reads what was written, and unmaps, with nothing in between.
  std::set<uint64_t> TakeAndUnmap() {
    const AddressSpace::Lock lock(*view_);
    Written written;
    view_->ReadDirtyPages(domain_, kAll, true, written);
    uint64_t bytes = 0;
    EXPECT_TRUE(view_->UnmapWhole(kAll, bytes).ok());
    return written.pages;
  }
  Status Write(uint64_t iova, const void* data, uint32_t length) {
    const DmaSegment segment = {iova, length};
    const DeviceLock lock(*arena_.Get(device_state_));
    return SoftDmaPort(arena_, *host_, *arena_.Get(device_state_), nullptr)
        .Write({&segment, 1}, static_cast<const std::byte*>(data));
  }

  ArenaRef<DomainState> domain_;
  std::unique_ptr<SoftBackend> iommu_;
  std::unique_ptr<AddressSpace> view_;
};

using Pages = std::set<uint64_t>;

TEST_F(DirtyDmaTest, APageIsDirtyOnceAByteOfItWasWritten) {
  ASSERT_EQ(MapPages(0, 8), 0);
  const std::vector<std::byte> data(3 * kEchoPage);
  ASSERT_TRUE(Write(0, data.data(), 1).ok());
  Track(true);
  EXPECT_EQ(Take(), Pages());
  ASSERT_TRUE(Write(kEchoPage, data.data(), 1).ok());
  ASSERT_TRUE(Write(4 * kEchoPage - 1, data.data(), kEchoPage + 2).ok());
  const DmaSegment all = {0, 8 * kEchoPage};
  std::vector<std::byte> read(8 * kEchoPage);
  ASSERT_TRUE(SoftDmaPort(arena_, *host_, *arena_.Get(device_state_), nullptr)
                  .Read({&all, 1}, read.data())
                  .ok());
  EXPECT_EQ(Take({0, 4 * kEchoPage - 1}), (Pages{1, 3}));
  EXPECT_EQ(Take({0, 8 * kEchoPage - 1}), (Pages{4, 5}));
  Track(false);
  ASSERT_TRUE(Write(0, data.data(), 1).ok());
  EXPECT_EQ(Take(), Pages());
}

TEST_F(DirtyDmaTest, OnlyWhatWasWrittenBeforeAFaultIsDirty) {
  ASSERT_EQ(MapPages(0, 2), 0);
  ASSERT_EQ(MapPages(2, 1, kAccessRead), 0);
  Track(true);
  const std::vector<std::byte> data(4 * kEchoPage);
  EXPECT_FALSE(Write(kEchoPage + 5, data.data(), 2 * kEchoPage).ok());
  EXPECT_EQ(Take(), (Pages{1}));
  ASSERT_EQ(munmap(memory_ + kEchoPage, kEchoPage), 0);
  EXPECT_FALSE(Write(0, data.data(), 2 * kEchoPage).ok());
  EXPECT_EQ(Take(), (Pages{0}));
}

TEST_F(DirtyDmaTest, WhatIsMappedAnewIsClean) {
  ASSERT_EQ(MapPages(0, 4), 0);
  Track(true);
  const std::vector<std::byte> data(4 * kEchoPage);
  ASSERT_TRUE(Write(0, data.data(), 4 * kEchoPage).ok());
  EXPECT_EQ(TakeAndUnmap(), (Pages{0, 1, 2, 3}));
  EXPECT_FALSE(Write(0, data.data(), 1).ok());
  ASSERT_EQ(MapPages(0, 4), 0);
  ASSERT_TRUE(Write(0, data.data(), 1).ok());
  uint64_t bytes = 0;
  {
    const AddressSpace::Lock lock(*view_);
    ASSERT_TRUE(view_->UnmapWhole(kAll, bytes).ok());
  }
  ASSERT_EQ(MapPages(0, 4), 0);
  EXPECT_EQ(Take(), Pages());
}

// A migration: a device counts up in each page while what it wrote is copied, page by page as the
// bitmap says. Whenever nothing is mapped, the copy is what the memory is.
TEST_F(DirtyDmaTest, APageThatWasWrittenIsInABitmapOrItsDmaFaulted) {
  ASSERT_EQ(MapPages(0, kPages), 0);
  Track(true);
  std::atomic<bool> done = false;
  std::atomic<uint64_t> successes = 0;
  std::thread device([&] {
    for (uint64_t count = 1; !done; ++count) {
      const uint64_t page = count * 7 % kPages;
      if (Write(page * kEchoPage + 64, &count, sizeof(count)).ok()) ++successes;
    }
  });
  std::vector<std::byte> copy(memory_, memory_ + kPages * kEchoPage);
  const auto take_over = [&](const std::set<uint64_t>& pages) {
    for (const uint64_t page : pages) {
      std::memcpy(copy.data() + page * kEchoPage, memory_ + page * kEchoPage, kEchoPage);
    }
  };
  for (int round = 0; round < 300 || successes < 1000; ++round) {
    take_over(Take());
    take_over(TakeAndUnmap());
    ASSERT_EQ(std::memcmp(copy.data(), memory_, kPages * kEchoPage), 0) << round;
    ASSERT_EQ(MapPages(0, kPages), 0);
    std::this_thread::yield();
  }
  done = true;
  device.join();
}

TEST_F(DirtyDmaTest, WhatIsWrittenThroughAProgramsTableIsDirtyInItsParent) {
  ASSERT_EQ(MapPages(0, kPages), 0);
  // Four levels, each the page behind the one before; the last leads from page 5 to page 8.
  constexpr uint64_t kAllRights = 7;
  auto* const words = reinterpret_cast<uint64_t*>(memory_);
  constexpr uint64_t kWords = kEchoPage / sizeof(uint64_t);
  for (uint64_t level = 0; level < 3; ++level) {
    words[level * kWords] = (level + 1) * kEchoPage | kAllRights;
  }
  words[3 * kWords + 5] = 8 * kEchoPage | kAllRights;
  const auto nested = *arena_.New<DomainState>();
  const auto table = *arena_.New<UserTableState>();
  // Its pages begin at 0, and so does its first level.
  arena_.Get(table)->format = UserTableFormat::kVtdFirstStage;
  arena_.Get(table)->levels = 4;
  arena_.Get(nested)->space = space_;
  arena_.Get(nested)->user_table = table;
  arena_.Get(nested)->parent = domain_;
  device_->Attach({space_, nested});
  Track(true);
  ASSERT_TRUE(Write(5 * kEchoPage + 7, "x", 1).ok());
  EXPECT_EQ(memory_[8 * kEchoPage + 7], std::byte{'x'});
  EXPECT_EQ(Take(), std::set<uint64_t>{8});
  EXPECT_EQ(Take(), std::set<uint64_t>{});
}

}  // namespace
}  // namespace ioas::soft
