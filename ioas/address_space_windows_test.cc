#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "ioas/address_space.h"

namespace ioas {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kMemory = 0x7f0000000000;
constexpr uint32_t kProcess = 5;
constexpr uint32_t kBoth = kAccessRead | kAccessWrite;
constexpr IovaRange kApertures[] = {{0, 0x7fffffffff}};
constexpr IovaRange kInterrupts[] = {{0xfee00000, 0xfeefffff}};
constexpr IommuProperties kIommu = {
    .page_sizes = kPage, .apertures = kApertures, .reserved = kInterrupts};

// All memory there is.
constexpr PinnedMemory kPin = {{0, UINT64_MAX}, 0};

using RunList = std::vector<std::pair<uint64_t, uint64_t>>;

class Collector final : public PageRunSink {
 public:
  void OnRun(uint64_t user_address, uint64_t pages) override {
    runs.emplace_back(user_address, pages);
  }
  RunList runs;
};

// Keeps what it was called with, and refuses on demand.
class RecordingBackend final : public Backend {
 public:
  Status Map(const IoasHandle& /*space*/, const Mapping& /*mapping*/) override { return {}; }
  Status Unmap(const IoasHandle& /*space*/, const Mapping& /*mapping*/) override { return {}; }
  void Discard(const IoasHandle& /*space*/, const IovaRange& range) override { discarded = range; }
  Status MapRun(const IoasHandle& /*space*/, const PageRun& run) override {
    if (dies_in_map_run) _exit(0);
    if (refusal != 0) return Error{refusal, "refused by the test"};
    maps.push_back(run);
    return {};
  }
  Status UnmapRange(const IoasHandle& /*space*/, const IovaRange& iovas) override {
    if (refusal != 0) return Error{refusal, "refused by the test"};
    unmaps.push_back(iovas);
    return {};
  }

  std::vector<PageRun> maps;
  std::vector<IovaRange> unmaps;
  IovaRange discarded = {1, 0};
  int refusal = 0;
  bool dies_in_map_run = false;
};

class WindowsTest : public testing::Test {
 protected:
  WindowsTest()
      : arena_fd_(memfd_create("arena", 0)),
        arena_(*Arena::Map(arena_fd_, 64 << 20)),
        space_(arena_, *AddressSpace::Create(arena_, kIommu, 4), &backend_) {}
  ~WindowsTest() override {
    arena_.Unmap();
    close(arena_fd_);
  }

  Status Map(uint32_t window, uint64_t iova, uint64_t user_address, uint64_t size,
             uint32_t access = kBoth) {
    return space_.MapRun(window, {{iova, iova + size - 1}, user_address, access, kPin}, gone_);
  }

  RecordingBackend backend_;
  int arena_fd_;
  Arena arena_;
  AddressSpace space_;
  Collector gone_;
};

TEST_F(WindowsTest, PageLeadsToItsProcessMemoryAndEndsWithItself) {
  ASSERT_TRUE(space_.AddWindow(0, 2 * kGiB, 16, 16, kProcess).ok());
  ASSERT_TRUE(Map(0, 2 * kGiB + 0x10000, kMemory, 0x20000, kAccessRead).ok());
  const auto found = space_.Translate(2 * kGiB + 0x12345, kAccessRead);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->user_address, kMemory + 0x2345);
  EXPECT_EQ(found->contiguous, 0x10000u - 0x2345);
  EXPECT_EQ(found->process, kProcess);
  EXPECT_EQ(space_.Translate(2 * kGiB + 0x12345, kAccessWrite).error().code, EACCES);
  EXPECT_EQ(space_.Translate(2 * kGiB, kAccessRead).error().code, ENOENT);
  EXPECT_EQ(space_.Translate(0, kAccessRead).error().code, ENOENT);
}

TEST_F(WindowsTest, MappingsBesideAWindowAreFoundAsEver) {
  ASSERT_TRUE(space_.AddWindow(1, 0, 16, 12, kProcess).ok());
  ASSERT_TRUE(space_.Map({kGiB, kGiB + kPage - 1, kMemory, 3, kAccessRead, 0}).ok());
  EXPECT_EQ(space_.Translate(kGiB, kAccessRead)->process, 3u);
}

TEST_F(WindowsTest, WindowsKeepToPlacesThatTheIommuReachesAndThatAreFree) {
  ASSERT_TRUE(space_.AddWindow(0, 0, 1 << 19, 12, kProcess).ok());
  EXPECT_EQ(space_.AddWindow(1, 2 * kGiB - kPage, 2, 12, kProcess).error().code, ENOSPC);
  EXPECT_EQ(space_.AddWindow(1, 0xfee00000, 1 << 19, 12, kProcess).error().code, ENOSPC)
      << "interrupts are written there";
  EXPECT_EQ(space_.AddWindow(1, 0xfee00000 - kPage, 2, 12, kProcess).error().code, ENOSPC);
  EXPECT_EQ(space_.AddWindow(1, uint64_t{1} << 59, 1, 12, kProcess).error().code, ENOSPC);
  EXPECT_EQ(space_.AddWindow(1, -kPage, 2, 12, kProcess).error().code, EINVAL);
  EXPECT_EQ(space_.AddWindow(1, 0, uint64_t{1} << 52, 12, kProcess).error().code, EINVAL)
      << "its size is no number of 64 bits";
  EXPECT_FALSE(space_.HasWindow(1));
}

TEST_F(WindowsTest, NothingIsMappedInAHole) {
  ASSERT_TRUE(space_.AddWindow(1, 2 * kGiB, 1 << 19, 12, kProcess).ok());
  EXPECT_EQ(Map(1, 0xfee00000 - kPage, kMemory, 2 * kPage).error().code, EINVAL);
  EXPECT_EQ(space_.Translate(0xfee00000 - kPage, kAccessRead).error().code, ENOENT);
  EXPECT_TRUE(Map(1, 0xfee00000 - kPage, kMemory, kPage).ok());
  EXPECT_TRUE(Map(1, 0xfef00000, kMemory, kPage).ok());
}

TEST_F(WindowsTest, FindPlaceReturnsTheLowestNaturallyAlignedOne) {
  EXPECT_EQ(*space_.FindPlace(2 * kGiB), 0u);
  ASSERT_TRUE(space_.AddWindow(0, 0, 1 << 19, 12, kProcess).ok());
  EXPECT_EQ(*space_.FindPlace(kGiB), 2 * kGiB);
  EXPECT_EQ(*space_.FindPlace(2 * kGiB), 4 * kGiB);
  EXPECT_EQ(*space_.FindPlace(64 * kGiB), 64 * kGiB);
  EXPECT_EQ(space_.FindPlace(512 * kGiB).error().code, ENOSPC);
}

TEST_F(WindowsTest, FindPlaceFindsNoneInAWindowThatEndsWithTheLastAddress) {
  IommuProperties iommu = kIommu;
  iommu.has_windows_anywhere = true;
  space_.Configure(iommu, 0);
  ASSERT_TRUE(space_.AddWindow(0, kPage, (uint64_t{1} << 52) - 1, 12, kProcess).ok());
  EXPECT_EQ(*space_.FindPlace(kPage), 0u);
  EXPECT_EQ(space_.FindPlace(2 * kPage).error().code, ENOSPC);
  ASSERT_TRUE(space_.AddWindow(1, 0, 1, 12, kProcess).ok());
  EXPECT_EQ(space_.FindPlace(kPage).error().code, ENOSPC);
}

TEST_F(WindowsTest, HostThatReachesEverythingTakesWindowsAnywhere) {
  IommuProperties iommu = kIommu;
  iommu.has_windows_anywhere = true;
  space_.Configure(iommu, 0);
  EXPECT_TRUE(space_.AddWindow(0, 0xfee00000, 16, 12, kProcess).ok());
  EXPECT_TRUE(space_.AddWindow(1, uint64_t{1} << 59, 1 << 28, 12, kProcess).ok());
  EXPECT_EQ(space_.FindWindow((uint64_t{1} << 59) + 1), 1u);
}

TEST_F(WindowsTest, ReplacedAndClearedPagesAreToldAndCounted) {
  ASSERT_TRUE(space_.AddWindow(0, 0, 1024, 12, kProcess).ok());
  ASSERT_TRUE(Map(0, 0, kMemory, 8 * kPage).ok());
  ASSERT_TRUE(Map(0, 4 * kPage, kMemory + kGiB, 8 * kPage).ok());
  EXPECT_EQ(gone_.runs, (RunList{{kMemory + 4 * kPage, 4}}));
  EXPECT_EQ(space_.statistics().bytes_mapped, 12 * kPage);
  EXPECT_EQ(space_.state().live_mappings(), 12u);
  gone_.runs.clear();
  ASSERT_TRUE(space_.UnmapRun(0, {0, 1024 * kPage - 1}, gone_).ok());
  EXPECT_EQ(gone_.runs, (RunList{{kMemory, 4}, {kMemory + kGiB, 8}}));
  EXPECT_EQ(space_.statistics().maps, 16u);
  EXPECT_EQ(space_.statistics().unmaps, 16u);
  EXPECT_EQ(space_.statistics().bytes_mapped, 0u);
  EXPECT_EQ(backend_.maps.size(), 2u);
  EXPECT_EQ(backend_.unmaps.size(), 1u);
}

TEST_F(WindowsTest, RefusedRunLeavesWhatTheBackendLeaves) {
  ASSERT_TRUE(space_.AddWindow(0, 0, 1024, 12, kProcess).ok());
  ASSERT_TRUE(Map(0, 0, kMemory, 4 * kPage).ok());
  backend_.refusal = EFAULT;
  EXPECT_EQ(Map(0, 0, kMemory + kGiB, 4 * kPage).error().code, EFAULT);
  EXPECT_EQ(space_.Translate(0, kAccessRead)->user_address, kMemory);
  backend_.refusal = ENOMEM;
  EXPECT_EQ(Map(0, 0, kMemory + kGiB, kPage).error().code, ENOMEM);
  EXPECT_EQ(space_.Translate(0, kAccessRead).error().code, ENOENT);
  EXPECT_EQ(gone_.runs, (RunList{{kMemory, 1}}));
  EXPECT_EQ(space_.UnmapRun(0, {0, 4 * kPage - 1}, gone_).error().code, ENOMEM);
  EXPECT_EQ(space_.state().live_mappings(), 3u);
}

TEST_F(WindowsTest, RemovedWindowGivesItsMemoryBack) {
  const size_t before = arena_.bytes_in_use();
  ASSERT_TRUE(space_.AddWindow(1, 64 * kGiB, 1 << 20, 16, kProcess).ok());
  EXPECT_EQ(arena_.bytes_in_use(), before);
  ASSERT_TRUE(Map(1, 64 * kGiB, kMemory, 1 << 26).ok());
  EXPECT_GT(arena_.bytes_in_use(), before);
  space_.RemoveWindow(1, gone_);
  EXPECT_EQ(gone_.runs, (RunList{{kMemory, 1024}}));
  EXPECT_EQ(arena_.bytes_in_use(), before);
  EXPECT_EQ(space_.Translate(64 * kGiB, kAccessRead).error().code, ENOENT);
  EXPECT_EQ(space_.statistics().bytes_mapped, 0u);
}

TEST_F(WindowsTest, DeathInAMapLeavesItsRangeUnmappedAndTheRestAsItWas) {
  ASSERT_TRUE(space_.AddWindow(0, 0, 1024, 12, kProcess).ok());
  ASSERT_TRUE(Map(0, 0, kMemory, 8 * kPage).ok());
  const pid_t child = fork();
  if (child == 0) {
    backend_.dies_in_map_run = true;
    AddressSpace::Lock lock(space_);
    (void)Map(0, 2 * kPage, kMemory + kGiB, 2 * kPage);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  AddressSpace::Lock lock(space_);
  EXPECT_EQ(backend_.discarded.first, 2 * kPage);
  EXPECT_EQ(backend_.discarded.last, 4 * kPage - 1);
  EXPECT_EQ(space_.Translate(kPage, kAccessRead)->user_address, kMemory + kPage);
  EXPECT_EQ(space_.Translate(2 * kPage, kAccessRead).error().code, ENOENT);
  EXPECT_EQ(space_.Translate(4 * kPage, kAccessRead)->user_address, kMemory + 4 * kPage);
  EXPECT_EQ(space_.state().live_mappings(), 6u);
  EXPECT_EQ(space_.statistics().bytes_mapped, 6 * kPage);
}

}  // namespace
}  // namespace ioas
