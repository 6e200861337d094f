#include "ioas/user_table.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>

#include "ioas/backend.h"

namespace ioas {
namespace {

constexpr uint64_t kPresent = 1;
constexpr uint64_t kWritable = 2;
constexpr uint64_t kUser = 4;
constexpr uint64_t kLarge = 1 << 7;
constexpr uint64_t kAll = kPresent | kWritable | kUser;
constexpr uint64_t kRoot = 0x1000;

// Memory of which nothing is there but what a test wrote.
class WrittenMemory final : public TableMemory {
 public:
  Result<uint64_t> ReadEntry(uint64_t address) override {
    ++reads;
    const auto found = words.find(address);
    if (found == words.end()) return Error{EFAULT, "nothing is there"};
    return found->second;
  }

  std::map<uint64_t, uint64_t> words;
  uint32_t reads = 0;
};

class UserTableTest : public testing::Test {
 protected:
  UserTableTest() { UseFirstStage(4); }

  void UseFirstStage(uint32_t levels) {
    state_ = {.format = UserTableFormat::kVtdFirstStage,
              .levels = levels,
              .page_shift = 0,
              .table = kRoot,
              .window = {},
              .cache = {}};
  }
  void UseTces(IovaRange window, uint32_t page_shift) {
    state_ = {.format = UserTableFormat::kTce,
              .levels = 1,
              .page_shift = page_shift,
              .table = kRoot,
              .window = window,
              .cache = {}};
  }
  // Tables at kRoot, kRoot + 0x1000 and so on, the last of which has `leaf` in it. `bits` are what
  // entries have beside the address.
  void WriteWay(uint64_t iova, uint32_t leaf_level, uint64_t leaf, uint64_t bits = kAll) {
    uint64_t table = kRoot;
    for (uint32_t level = state_.levels; level != leaf_level; --level) {
      memory_.words[Entry(table, iova, level)] = (table + 0x1000) | bits;
      table += 0x1000;
    }
    memory_.words[leaf_ = Entry(table, iova, leaf_level)] = leaf;
  }
  static uint64_t Entry(uint64_t table, uint64_t iova, uint32_t level) {
    return table + (iova >> (12 + 9 * (level - 1)) & 511) * 8;
  }
  // Where `iova` leads, or the negated errno.
  int64_t Translate(uint64_t iova, uint32_t access = kAccessRead) {
    const auto to = UserTable(&state_, &memory_).Translate(iova, access);
    contiguous_ = to->contiguous;
    return to.ok() ? static_cast<int64_t>(to->target) : -to.error().code;
  }
  void Invalidate(uint64_t first, uint64_t last) {
    UserTable(&state_, &memory_).Invalidate({first, last});
  }

  UserTableState state_ = {};
  WrittenMemory memory_;
  uint64_t leaf_ = 0;
  uint64_t contiguous_ = 0;
};

TEST_F(UserTableTest, FourLevelsLeadToAPage) {
  const uint64_t iova = 0x123456789abc;
  WriteWay(iova, 1, 0xabcde000 | kAll);
  EXPECT_EQ(Translate(iova, kAccessWrite), 0xabcdeabc);
  EXPECT_EQ(contiguous_, 0x1000u - 0xabc);
  EXPECT_EQ(memory_.reads, 4u);
  EXPECT_EQ(Translate(iova + 0x1000), -EFAULT);
}

TEST_F(UserTableTest, FiveLevelsReachFurther) {
  const uint64_t iova = uint64_t{1} << 50;
  EXPECT_EQ(Translate(iova), -ENOENT);
  EXPECT_EQ(memory_.reads, 0u);
  UseFirstStage(5);
  WriteWay(iova, 1, 0x5000 | kAll);
  EXPECT_EQ(Translate(iova), 0x5000);
  EXPECT_EQ(memory_.reads, 5u);
  EXPECT_EQ(Translate(uint64_t{1} << 60), -ENOENT);
}

TEST_F(UserTableTest, AddressesAreCanonical) {
  const uint64_t iova = 0xffff800000000000;
  WriteWay(iova, 1, 0x5000 | kAll);
  EXPECT_EQ(Translate(iova), 0x5000);
  EXPECT_EQ(Translate(0x0000800000000000), -ENOENT);
}

TEST_F(UserTableTest, LargePagesEndTheWalkEarly) {
  const uint64_t iova = 0x40312345678;
  WriteWay(iova, 2, 0x7fe00000 | kAll | kLarge);
  EXPECT_EQ(Translate(iova), 0x7ff45678);
  EXPECT_EQ(contiguous_, 0x200000u - 0x145678);
  UseFirstStage(4);
  WriteWay(iova, 3, 0x80000000 | kAll | kLarge);
  EXPECT_EQ(Translate(iova), 0x92345678);
}

TEST_F(UserTableTest, ReservedBitsAreAnError) {
  WriteWay(0, 2, 0x7ff00000 | kAll | kLarge);
  EXPECT_EQ(Translate(0), -EINVAL);
  WriteWay(0, 3, 0x50000000 | kAll | kLarge);
  EXPECT_EQ(Translate(0), -EINVAL);
  WriteWay(0, 4, kAll | kLarge);
  EXPECT_EQ(Translate(0), -EINVAL);
  // The page attribute's bit is none.
  WriteWay(0, 2, 0x7fe01000 | kAll | kLarge);
  EXPECT_EQ(Translate(0), 0x7fe00000);
}

TEST_F(UserTableTest, EveryLevelHasToPermitIt) {
  WriteWay(0, 1, 0x5000 | kAll, kPresent | kUser);
  EXPECT_EQ(Translate(0, kAccessRead), 0x5000);
  EXPECT_EQ(Translate(0, kAccessWrite), -EACCES);
  WriteWay(0x200000, 1, 0x5000 | kAll, kPresent | kWritable);
  EXPECT_EQ(Translate(0x200000, kAccessRead), -EACCES);
}

TEST_F(UserTableTest, ATableThatPointsToItselfEnds) {
  memory_.words[kRoot] = kRoot | kAll;
  EXPECT_EQ(Translate(0), static_cast<int64_t>(kRoot));
  EXPECT_EQ(memory_.reads, 4u);
}

TEST_F(UserTableTest, WhatCannotBeReadIsAnErrorAndNotKept) {
  EXPECT_EQ(Translate(0), -EFAULT);
  WriteWay(0, 1, 0x5000 | kAll);
  EXPECT_EQ(Translate(0), 0x5000);
}

TEST_F(UserTableTest, WhatWasReadStaysUntilItIsInvalidated) {
  WriteWay(0x3000, 1, 0x5000 | kAll);
  EXPECT_EQ(Translate(0x3000), 0x5000);
  memory_.words[leaf_] = 0;
  EXPECT_EQ(Translate(0x3fff), 0x5fff);
  Invalidate(0x4000, UINT64_MAX);
  Invalidate(0, 0x2fff);
  EXPECT_EQ(Translate(0x3000), 0x5000);
  Invalidate(0x3000, 0x3000);
  EXPECT_EQ(Translate(0x3000), -ENOENT);
  // What is not there is not kept, and neither is what does not permit an access.
  memory_.words[leaf_] = 0x6000 | kPresent | kUser;
  EXPECT_EQ(Translate(0x3000), 0x6000);
  memory_.words[leaf_] = 0x6000 | kAll;
  EXPECT_EQ(Translate(0x3000, kAccessWrite), 0x6000);
}

TEST_F(UserTableTest, APartOfALargePageInvalidatesAllOfIt) {
  WriteWay(0, 2, 0x400000 | kAll | kLarge);
  EXPECT_EQ(Translate(0x1000), 0x401000);
  EXPECT_EQ(Translate(0x2000), 0x402000);
  memory_.words[leaf_] = 0;
  Invalidate(0x100000, 0x100fff);
  EXPECT_EQ(Translate(0x1000), -ENOENT);
  EXPECT_EQ(Translate(0x2000), -ENOENT);
}

TEST_F(UserTableTest, TcesAreBigEndianAndHaveTwoBits) {
  const uint64_t first = uint64_t{1} << 59;
  UseTces({first, first + 0x3ffff}, 16);
  memory_.words[kRoot] = __builtin_bswap64(0x70000 | 3);
  memory_.words[kRoot + 8] = __builtin_bswap64(0x80000 | 1);
  memory_.words[kRoot + 16] = __builtin_bswap64(0x90000 | 2);
  memory_.words[kRoot + 24] = __builtin_bswap64(0xa0000);
  EXPECT_EQ(Translate(first + 5, kAccessWrite), 0x70005);
  EXPECT_EQ(contiguous_, 0x10000u - 5);
  EXPECT_EQ(Translate(first + 0x10000), 0x80000);
  EXPECT_EQ(Translate(first + 0x10000, kAccessWrite), -EACCES);
  EXPECT_EQ(Translate(first + 0x20000), -EACCES);
  EXPECT_EQ(Translate(first + 0x30000), -ENOENT);
  memory_.reads = 0;
  EXPECT_EQ(Translate(first - 1), -ENOENT);
  EXPECT_EQ(Translate(first + 0x40000), -ENOENT);
  EXPECT_EQ(memory_.reads, 0u);
}

}  // namespace
}  // namespace ioas
