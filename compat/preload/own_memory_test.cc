#include "compat/preload/own_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace compat::preload {
namespace {

constexpr size_t kPage = 4096;

uint64_t AddressOf(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

// Copies `size` bytes from `address`, then back to it. Returns both errnos.
std::pair<int, int> Move(uint64_t address, size_t size) {
  std::vector<std::byte> buffer(size);
  OwnMemory memory;
  return {memory.Read(address, buffer).error().code, memory.Write(address, buffer).error().code};
}

// Two pages of which the second is gone.
std::byte* PageBeforeNothing() {
  void* const pages =
      mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(static_cast<std::byte*>(pages) + kPage, kPage);
  return static_cast<std::byte*>(pages);
}

TEST(OwnMemoryTest, StackAndHeapAreCopied) {
  OwnMemory memory;
  uint64_t on_stack = 0x1122334455667788;
  const auto on_heap = std::make_unique<uint64_t>(0x99aabbccddeeff00);
  uint64_t copy = 0;
  const auto bytes = std::as_writable_bytes(std::span(&copy, 1));
  ASSERT_TRUE(memory.Read(AddressOf(&on_stack), bytes).ok());
  EXPECT_EQ(copy, on_stack);
  ASSERT_TRUE(memory.Read(AddressOf(on_heap.get()), bytes).ok());
  EXPECT_EQ(copy, *on_heap);
  ASSERT_TRUE(memory.Write(AddressOf(&on_stack), bytes).ok());
  EXPECT_EQ(on_stack, *on_heap);
}

TEST(OwnMemoryTest, MemoryThatIsNotThereIsAFault) {
  EXPECT_EQ(Move(0, 8), std::pair(EFAULT, EFAULT));
  EXPECT_EQ(Move(~uint64_t{7}, 8), std::pair(EFAULT, EFAULT));
  std::byte* const page = PageBeforeNothing();
  EXPECT_EQ(Move(AddressOf(page + kPage - 8), 8), std::pair(0, 0));
  EXPECT_EQ(Move(AddressOf(page + kPage - 7), 8), std::pair(EFAULT, EFAULT));
  munmap(page, kPage);
}

TEST(OwnMemoryTest, ReadOnlyMemoryCanBeReadOnly) {
  void* const page = mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_EQ(Move(AddressOf(page), 64), std::pair(0, EFAULT));
  munmap(page, kPage);
}

TEST(OwnMemoryTest, AddressesBeyondTheStackAreNoPartOfIt) {
  int here = 0;
  // Far above any frame: past the end of the stack.
  EXPECT_EQ(Move(AddressOf(&here) + (uint64_t{1} << 40), 8), std::pair(EFAULT, EFAULT));
}

TEST(OwnMemoryTest, EveryThreadHasAStackOfItsOwn) {
  uint64_t of_main = 42;
  std::thread([&] {
    uint64_t of_thread = 43;
    EXPECT_EQ(Move(AddressOf(&of_thread), 8), std::pair(0, 0));
    EXPECT_EQ(Move(AddressOf(&of_main), 8), std::pair(0, 0));
  }).join();
  EXPECT_EQ(of_main, 42u);
}

TEST(OwnMemoryTest, NothingIsAlwaysThere) { EXPECT_EQ(Move(0, 0), std::pair(0, 0)); }

}  // namespace
}  // namespace compat::preload
