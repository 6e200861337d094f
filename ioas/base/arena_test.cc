#include "ioas/base/arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace ioas {
namespace {

constexpr size_t kMebi = size_t{1} << 20;

class ArenaFileTest : public testing::Test {
 protected:
  void SetUp() override {
    fd_ = memfd_create("arena_test", MFD_CLOEXEC);
    ASSERT_GE(fd_, 0);
  }
  void TearDown() override { close(fd_); }

  Arena MapOrFail(size_t maximum) const {
    Result<Arena> arena = Arena::Map(fd_, maximum);
    EXPECT_TRUE(arena.ok()) << arena.error().reason;
    return *arena;
  }
  size_t FileSize() const {
    struct stat status;
    EXPECT_EQ(fstat(fd_, &status), 0);
    return static_cast<size_t>(status.st_size);
  }

  int fd_ = -1;
};

std::byte* At(Arena arena, uint32_t unit) { return arena.Get(ArenaRef<std::byte>{unit}); }

bool IsZero(Arena arena, uint32_t unit, size_t bytes) {
  const std::byte* memory = At(arena, unit);
  for (size_t i = 0; i < bytes; ++i) {
    if (memory[i] != std::byte{0}) return false;
  }
  return true;
}

// Runs `body` in a forked child and returns how it ended, as waitpid says it.
template <typename Body>
int InChild(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

TEST(ArenaTest, BlocksAreZeroedAlignedAndApart) {
  Result<Arena> arena = Arena::CreatePrivate(64 * kMebi);
  ASSERT_TRUE(arena.ok());
  std::mt19937 random(1);
  std::map<uint32_t, size_t> blocks;
  for (int i = 0; i < 20000; ++i) {
    if (blocks.size() > 200) {
      auto victim = std::next(blocks.begin(), random() % blocks.size());
      arena->Free(victim->first, victim->second);
      blocks.erase(victim);
      continue;
    }
    const bool page = random() % 4 == 0;
    const size_t bytes = page ? (1 + random() % 5) * kArenaPage : 1 + random() % 6000;
    Result<uint32_t> unit = arena->Allocate(bytes, page ? kArenaPage : kArenaUnit);
    ASSERT_TRUE(unit.ok());
    ASSERT_TRUE(IsZero(*arena, *unit, bytes));
    ASSERT_TRUE(arena->Contains(*unit, bytes));
    if (page) {
      ASSERT_EQ(reinterpret_cast<uintptr_t>(At(*arena, *unit)) % kArenaPage, 0u);
    }
    memset(At(*arena, *unit), 0xff, bytes);
    auto [position, fresh] = blocks.emplace(*unit, bytes);
    ASSERT_TRUE(fresh);
    const uint64_t end = *unit + (bytes + kArenaUnit - 1) / kArenaUnit;
    if (auto next = std::next(position); next != blocks.end()) {
      ASSERT_LE(end, next->first);
    }
    if (position != blocks.begin()) {
      auto before = std::prev(position);
      ASSERT_LE(before->first + (before->second + kArenaUnit - 1) / kArenaUnit, *unit);
    }
  }
  for (const auto& [unit, bytes] : blocks) arena->Free(unit, bytes);
  EXPECT_EQ(arena->bytes_in_use(), 0u);
  arena->Unmap();
}

TEST(ArenaTest, AFullArenaRefusesAndGoesOnWhenABlockIsFreed) {
  Result<Arena> arena = Arena::CreatePrivate(kMebi);
  ASSERT_TRUE(arena.ok());
  std::vector<uint32_t> blocks;
  for (;;) {
    Result<uint32_t> unit = arena->Allocate(512);
    if (!unit.ok()) {
      EXPECT_EQ(unit.error().code, ENOMEM);
      break;
    }
    blocks.push_back(*unit);
  }
  EXPECT_GT(blocks.size(), 2000u);
  EXPECT_EQ(arena->bytes_in_use(), blocks.size() * 512);
  arena->Free(blocks.back(), 512);
  // A smaller block is cut from it.
  EXPECT_TRUE(arena->Allocate(100).ok());
  EXPECT_TRUE(arena->Allocate(300).ok());
  arena->Unmap();
}

TEST(ArenaTest, FreedPagesJoinToServeALargerBlock) {
  Result<Arena> arena = Arena::CreatePrivate(kMebi);
  ASSERT_TRUE(arena.ok());
  std::vector<uint32_t> pages;
  for (Result<uint32_t> unit = arena->Allocate(kArenaPage); unit.ok();
       unit = arena->Allocate(kArenaPage)) {
    pages.push_back(*unit);
  }
  EXPECT_FALSE(arena->Allocate(100 * kArenaPage).ok());
  std::shuffle(pages.begin(), pages.end(), std::mt19937(7));
  for (uint32_t page : pages) arena->Free(page, kArenaPage);
  EXPECT_TRUE(arena->Allocate(pages.size() * kArenaPage).ok());
  arena->Unmap();
}

TEST(ArenaTest, SmallBlocksAreCutFromFreePagesWhenNothingElseIsLeft) {
  Result<Arena> arena = Arena::CreatePrivate(kMebi);
  ASSERT_TRUE(arena.ok());
  const Result<uint32_t> pages = arena->Allocate(kMebi - 2 * kArenaPage);
  ASSERT_TRUE(pages.ok());
  while (arena->Allocate(64).ok()) {
  }
  arena->Free(*pages, kMebi - 2 * kArenaPage);
  EXPECT_TRUE(arena->Allocate(64).ok());
  arena->Unmap();
}

TEST(ArenaTest, ImpossibleSizesAndAlignmentsAreRefused) {
  Result<Arena> arena = Arena::CreatePrivate(kMebi);
  ASSERT_TRUE(arena.ok());
  EXPECT_EQ(arena->Allocate(0).error().code, EINVAL);
  EXPECT_EQ(arena->Allocate((size_t{1} << 30) + 1).error().code, EINVAL);
  EXPECT_EQ(arena->Allocate(100, kArenaPage).error().code, EINVAL);
  EXPECT_EQ(arena->Allocate(4096, 128).error().code, EINVAL);
  EXPECT_EQ(arena->Allocate(size_t{1} << 30).error().code, ENOMEM);
  EXPECT_EQ(arena->bytes_in_use(), 0u);
  arena->Unmap();
}

TEST(ArenaTest, ThreadsAllocateAndFreeAtOnce) {
  Result<Arena> arena = Arena::CreatePrivate(16 * kMebi);
  ASSERT_TRUE(arena.ok());
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::atomic<int> failures = 0;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 2000; ++i) {
        const size_t bytes = 1 + random() % 8000;
        Result<uint32_t> unit = arena->Allocate(bytes);
        if (!unit.ok() || !IsZero(*arena, *unit, bytes)) {
          ++failures;
          continue;
        }
        memset(At(*arena, *unit), 1, bytes);
        arena->Free(*unit, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(arena->bytes_in_use(), 0u);
  arena->Unmap();
}

TEST_F(ArenaFileTest, TheFileGrowsAsMemoryIsNeeded) {
  Arena arena = MapOrFail(size_t{1} << 30);
  EXPECT_EQ(FileSize(), kMebi);
  Result<uint32_t> unit = arena.Allocate(40 * kMebi);
  ASSERT_TRUE(unit.ok());
  EXPECT_GE(FileSize(), 40 * kMebi);
  EXPECT_TRUE(IsZero(arena, *unit, 40 * kMebi));
  arena.Unmap();
}

TEST_F(ArenaFileTest, ASecondMappingSeesTheSameObjects) {
  Arena one = MapOrFail(256 * kMebi);
  Arena two = MapOrFail(256 * kMebi);
  Result<ArenaRef<uint64_t>> number = one.New<uint64_t>();
  ASSERT_TRUE(number.ok());
  *one.Get(*number) = 42;
  EXPECT_EQ(two.root(), 0u);
  one.SetRoot(number->unit);
  EXPECT_EQ(*two.Get(ArenaRef<uint64_t>{two.root()}), 42u);
  EXPECT_EQ(two.RefOf(two.Get(*number)), *number);
  EXPECT_EQ(two.bytes_in_use(), kArenaUnit);
  // Memory that one of them made the file grow for is there for the other.
  Result<uint32_t> large = two.Allocate(20 * kMebi);
  ASSERT_TRUE(large.ok());
  At(two, *large)[20 * kMebi - 1] = std::byte{7};
  EXPECT_EQ(At(one, *large)[20 * kMebi - 1], std::byte{7});
  one.Unmap();
  two.Unmap();
}

TEST_F(ArenaFileTest, ProcessesShareIt) {
  Arena arena = MapOrFail(256 * kMebi);
  const int status = InChild([&] {
    Result<ArenaRef<int>> made = arena.New<int>();
    if (!made.ok()) return 1;
    *arena.Get(*made) = 5;
    arena.SetRoot(made->unit);
    return 0;
  });
  EXPECT_EQ(status, 0);
  ASSERT_NE(arena.root(), 0u);
  EXPECT_EQ(*arena.Get(ArenaRef<int>{arena.root()}), 5);
  arena.Unmap();
}

TEST_F(ArenaFileTest, ProcessesThatMapAnEmptyFileAtOnceMakeOneArena) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(ftruncate(fd_, 0), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      const pid_t child = fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        Result<Arena> arena = Arena::Map(fd_, 64 * kMebi);
        _exit(arena.ok() && arena->Allocate(64).ok() ? 0 : 1);
      }
      children.push_back(child);
    }
    for (pid_t child : children) {
      int status = -1;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
    Arena arena = MapOrFail(64 * kMebi);
    EXPECT_EQ(arena.bytes_in_use(), 4 * kArenaUnit);
    arena.Unmap();
  }
}

TEST_F(ArenaFileTest, ProcessesKilledWhileAllocatingLeaveItUsable) {
  Arena arena = MapOrFail(256 * kMebi);
  for (int round = 0; round < 30; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      std::mt19937 random(static_cast<unsigned>(round));
      for (;;) {
        const size_t bytes = 1 + random() % 9000;
        Result<uint32_t> unit = arena.Allocate(bytes);
        if (unit.ok()) arena.Free(*unit, bytes);
      }
    }
    usleep(2000);
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    Result<uint32_t> small = arena.Allocate(64);
    Result<uint32_t> pages = arena.Allocate(3 * kArenaPage);
    ASSERT_TRUE(small.ok() && pages.ok());
    arena.Free(*small, 64);
    arena.Free(*pages, 3 * kArenaPage);
  }
  // Each of them costs at most the block that it was handling.
  EXPECT_LE(static_cast<int64_t>(arena.bytes_in_use()), 30 * 12288);
  arena.Unmap();
}

TEST_F(ArenaFileTest, AFileThatIsNoArenaIsRefused) {
  const std::string text(2 * kArenaPage, 'x');
  ASSERT_EQ(write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(Arena::Map(fd_, 64 * kMebi).error().code, EPROTO);
  ASSERT_EQ(ftruncate(fd_, 100), 0);
  EXPECT_EQ(Arena::Map(fd_, 64 * kMebi).error().code, EPROTO);
}

TEST_F(ArenaFileTest, AnotherVersionIsRefused) {
  MapOrFail(64 * kMebi).Unmap();
  const uint32_t version = 99;
  ASSERT_EQ(pwrite(fd_, &version, sizeof(version), 8), static_cast<ssize_t>(sizeof(version)));
  EXPECT_EQ(Arena::Map(fd_, 64 * kMebi).error().code, EPROTO);
}

TEST_F(ArenaFileTest, AnArenaCutShortIsRefused) {
  Arena arena = MapOrFail(64 * kMebi);
  ASSERT_TRUE(arena.Allocate(10 * kMebi).ok());
  arena.Unmap();
  ASSERT_EQ(ftruncate(fd_, kMebi), 0);
  EXPECT_EQ(Arena::Map(fd_, 64 * kMebi).error().code, EPROTO);
}

TEST_F(ArenaFileTest, AnArenaWhoseMakerDiedBeforeItWasOneIsMadeAnew) {
  ASSERT_EQ(ftruncate(fd_, kMebi), 0);
  Arena arena = MapOrFail(64 * kMebi);
  EXPECT_TRUE(arena.Allocate(64).ok());
  arena.Unmap();
}

TEST_F(ArenaFileTest, WhatIsNoFileIsRefused) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_FALSE(Arena::Map(ends[1], 64 * kMebi).ok());
  close(ends[0]);
  close(ends[1]);
  EXPECT_EQ(Arena::Map(ends[1], 64 * kMebi).error().code, EBADF);
}

TEST_F(ArenaFileTest, MemoryThatTheFileSizeLimitForbidsIsRefusedWithoutASignal) {
  const int status = InChild([&] {
    Result<Arena> arena = Arena::Map(fd_, 256 * kMebi);
    if (!arena.ok()) return 1;
    const struct rlimit limit = {8 * kMebi, 8 * kMebi};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    if (!arena->Allocate(7 * kMebi - 2 * kArenaPage).ok()) return 3;
    Result<uint32_t> unit = arena->Allocate(2 * kMebi);
    return !unit.ok() && unit.error().code == ENOMEM ? 0 : 4;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(ArenaFileTest, TheGrowthStopsAtTheMaximum) {
  Arena arena = MapOrFail(4 * kMebi);
  EXPECT_TRUE(arena.Allocate(3 * kMebi).ok());
  EXPECT_EQ(arena.Allocate(2 * kMebi).error().code, ENOMEM);
  EXPECT_LE(FileSize(), 4 * kMebi);
  arena.Unmap();
}

// The sanitizers reserve more address space than a limit would leave.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(ArenaFileTest, LittleAddressSpaceMakesASmallArena) {
  const int status = InChild([&] {
    const struct rlimit limit = {512 * kMebi, 512 * kMebi};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    Result<Arena> arena = Arena::Map(fd_, size_t{64} << 30);
    if (!arena.ok()) return 2;
    if (!arena->Allocate(30 * kMebi).ok()) return 3;
    return arena->Allocate(600 * kMebi).error().code == ENOMEM ? 0 : 4;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(ArenaFileTest, NobodyOutgrowsAMemberWithLittleAddressSpace) {
  Arena arena = MapOrFail(size_t{4} << 30);
  const int status = InChild([&] {
    arena.Unmap();
    const struct rlimit limit = {512 * kMebi, 512 * kMebi};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    return Arena::Map(fd_, size_t{4} << 30).ok() ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(arena.Allocate(60 * kMebi).ok());
  EXPECT_EQ(arena.Allocate(600 * kMebi).error().code, ENOMEM);
  arena.Unmap();
}

TEST_F(ArenaFileTest, AMemberWithoutAddressSpaceForWhatIsThereIsRefused) {
  Arena arena = MapOrFail(size_t{4} << 30);
  ASSERT_TRUE(arena.Allocate(600 * kMebi).ok());
  const int status = InChild([&] {
    arena.Unmap();
    const struct rlimit limit = {512 * kMebi, 512 * kMebi};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    return Arena::Map(fd_, size_t{4} << 30).error().code == ENOMEM ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
  arena.Unmap();
}
#endif

}  // namespace
}  // namespace ioas
