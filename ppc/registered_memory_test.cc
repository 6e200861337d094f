#include "ppc/registered_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ppc {
namespace {

using ioas::Arena;
using ioas::ArenaRef;
using ioas::MemoryRange;

constexpr uint64_t kMiB = 1 << 20;
constexpr MemoryRange kRegion = {0x7f0000000000, 0x7f0000000000 + kMiB - 1};

// Shared with child processes.
class RegisteredMemoryTest : public testing::Test {
 protected:
  RegisteredMemoryTest()
      : fd_(memfd_create("arena", 0)),
        arena_(*Arena::Map(fd_, 64 << 20)),
        processes_(arena_.Get(*arena_.New<ioas::ProcessTableState>())),
        state_(arena_.Get(*arena_.New<RegisteredMemoryState>())),
        all_(arena_, state_, processes_) {
    processes_.Initialize();
    state_->mutex.Initialize();
  }
  ~RegisteredMemoryTest() override {
    arena_.Unmap();
    close(fd_);
  }

  uint32_t Self() { return *processes_.Register(); }
  uint64_t Locked() { return processes_.locked_bytes(Self()); }
  // Adds `region` as a container does.
  int Add(ArenaRef<ProcessMemory> memory, const MemoryRange& region) {
    if (!processes_.LockMemory(region.size(), nullptr).ok()) return ENOMEM;
    const ioas::Status added = all_.Add(memory, region);
    if (!added.ok()) processes_.UnlockMemory(Self(), region.size());
    return added.error().code;
  }

  int fd_;
  Arena arena_;
  ioas::ProcessTable processes_;
  RegisteredMemoryState* state_;
  RegisteredMemory all_;
};

TEST_F(RegisteredMemoryTest, RegionIsKnownUntilTheLastContainerReleasesIt) {
  const auto memory = *all_.Join(Self());
  const auto again = *all_.Join(Self());
  EXPECT_EQ(memory, again);
  EXPECT_FALSE(all_.Acquire(memory, kRegion));
  ASSERT_EQ(Add(memory, kRegion), 0);
  EXPECT_TRUE(all_.Acquire(again, kRegion));
  EXPECT_EQ(Locked(), kMiB) << "counts once";
  all_.Release(memory, kRegion.first, /*borrows=*/false);
  EXPECT_EQ(Locked(), kMiB);
  all_.Release(again, kRegion.first, /*borrows=*/false);
  EXPECT_EQ(Locked(), 0u);
  EXPECT_FALSE(all_.Acquire(memory, kRegion));
}

TEST_F(RegisteredMemoryTest, RegionsDoNotOverlapAndAreFoundWholeOnly) {
  const auto memory = *all_.Join(Self());
  ASSERT_EQ(Add(memory, kRegion), 0);
  EXPECT_EQ(Add(memory, {kRegion.first + 4096, kRegion.last + 4096}), EINVAL);
  EXPECT_FALSE(all_.Acquire(memory, {kRegion.first, kRegion.last - 4096}));
  EXPECT_EQ(Add(memory, {kRegion.last + 1, kRegion.last + kMiB}), 0);
  const auto found = all_.Borrow(memory, kRegion.last - 4095, 4096);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->first, kRegion.first);
  EXPECT_FALSE(all_.Borrow(memory, kRegion.last - 4095, 8192)) << "in two regions";
}

TEST_F(RegisteredMemoryTest, RegionReleasedWhileMappedStaysKnownEvenUnmapped) {
  const auto memory = *all_.Join(Self());
  ASSERT_EQ(Add(memory, kRegion), 0);
  all_.Release(memory, kRegion.first, /*borrows=*/true);
  all_.Return(memory, kRegion.first);
  EXPECT_EQ(Locked(), kMiB);
  EXPECT_TRUE(all_.Acquire(memory, kRegion));
  all_.Release(memory, kRegion.first, /*borrows=*/false);
  all_.Leave(memory);
  const auto again = *all_.Join(Self());
  EXPECT_TRUE(all_.Borrow(again, kRegion.first, 4096));
}

TEST_F(RegisteredMemoryTest, MemoryWithoutRegionsGoesWithTheLastContainer) {
  const size_t before = arena_.bytes_in_use();
  const auto memory = *all_.Join(Self());
  ASSERT_EQ(Add(memory, kRegion), 0);
  all_.Release(memory, kRegion.first, /*borrows=*/false);
  all_.Leave(memory);
  EXPECT_EQ(arena_.bytes_in_use(), before);
}

TEST_F(RegisteredMemoryTest, ProcessesDoNotKnowEachOthersRegionsAndThoseOfTheDeadGo) {
  const auto memory = *all_.Join(Self());
  ASSERT_EQ(Add(memory, kRegion), 0);
  const size_t before = arena_.bytes_in_use();
  const pid_t child = fork();
  if (child == 0) {
    ioas::ProcessTable::OnFork();
    const auto own = *all_.Join(Self());
    if (all_.Acquire(own, kRegion)) _exit(1);
    if (Add(own, kRegion) != 0) _exit(2);
    all_.Release(own, kRegion.first, /*borrows=*/true);
    all_.Leave(own);
    _exit(Locked() == kMiB ? 0 : 3);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_GT(arena_.bytes_in_use(), before);
  all_.Leave(*all_.Join(Self()));
  EXPECT_EQ(arena_.bytes_in_use(), before);
  EXPECT_TRUE(all_.Acquire(memory, kRegion));
}

TEST_F(RegisteredMemoryTest, DeathInTheMiddleOfAChangeDropsWhatWasBeingChanged) {
  const auto memory = *all_.Join(Self());
  ASSERT_EQ(Add(memory, kRegion), 0);
  const pid_t child = fork();
  if (child == 0) {
    ioas::ProcessTable::OnFork();
    const auto own = *all_.Join(Self());
    if (Add(own, kRegion) != 0) _exit(1);
    const ioas::RobustLock lock(state_->mutex);
    arena_.Get(own)->regions.changing = 1;
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(all_.Acquire(memory, kRegion)) << "another process's are as they were";
  EXPECT_EQ(Locked(), kMiB);
}

}  // namespace
}  // namespace ppc
