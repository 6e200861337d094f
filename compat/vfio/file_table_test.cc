#include "compat/vfio/file_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace compat::vfio {
namespace {

class FileTableTest : public testing::Test {
 protected:
  FileTableTest()
      : arena_fd_(memfd_create("file-table", MFD_CLOEXEC)),
        arena_(*ioas::Arena::Map(arena_fd_, size_t{1} << 28)),
        table_(arena_, arena_fd_, arena_.Get(*arena_.New<FileTableState>())) {}
  ~FileTableTest() override {
    arena_.Unmap();
    close(arena_fd_);
  }

  NewFile Open(uint32_t object) {
    const auto slot = table_.Take(decode::DescriptorKind::kGroup, object);
    const auto fd = table_.Open(*slot, /*close_on_exec=*/true);
    EXPECT_TRUE(fd.ok());
    return {*fd, *slot};
  }

  int arena_fd_;
  ioas::Arena arena_;
  FileTable table_;
};

TEST_F(FileTableTest, DescriptorLeadsToItsSlot) {
  const NewFile first = Open(11);
  const NewFile second = Open(12);
  EXPECT_EQ(*table_.SlotOf(second.descriptor), second.slot);
  EXPECT_EQ(table_.slot(second.slot).object, 12u);
  EXPECT_EQ(*table_.SlotOf(dup(first.descriptor)), first.slot);
  EXPECT_EQ(*table_.SlotOf(STDIN_FILENO), 0u);
  EXPECT_EQ(*table_.SlotOf(arena_fd_), 0u);
  EXPECT_EQ(table_.SlotOf(9999).error().code, EBADF);
}

TEST_F(FileTableTest, WhatAReusedSlotIsIsNeverHalfOfEach) {
  using decode::DescriptorKind;
  const uint32_t slot = *table_.Take(DescriptorKind::kGroup, 1);
  std::atomic<bool> stop{false};
  std::thread reuser([&] {
    for (uint32_t i = 0; !stop; ++i) {
      table_.Free(slot);
      const bool is_group = i % 2 != 0;
      EXPECT_EQ(*table_.Take(is_group ? DescriptorKind::kGroup : DescriptorKind::kContainer,
                             is_group ? 1 : 1 << 20),
                slot);
    }
  });
  for (int i = 0; i < 1'000'000; ++i) {
    const FileMeaning file = table_.slot(slot).Load();
    ASSERT_EQ(file.kind == DescriptorKind::kGroup, file.object == 1);
  }
  stop = true;
  reuser.join();
}

TEST_F(FileTableTest, FileIsOpenUntilItsLastDescriptorIsClosed) {
  const NewFile file = Open(1);
  const int copy = dup(file.descriptor);
  close(file.descriptor);
  EXPECT_TRUE(table_.IsOpen(file.slot));
  close(copy);
  EXPECT_FALSE(table_.IsOpen(file.slot));
}

TEST_F(FileTableTest, FileIsOpenWhileAChildHoldsItAndGoneWhenTheChildIsKilled) {
  const NewFile file = Open(1);
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  close(file.descriptor);
  EXPECT_TRUE(table_.IsOpen(file.slot));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(table_.IsOpen(file.slot));
}

TEST_F(FileTableTest, FileIsOpenWhileItsMemoryIsMapped) {
  const NewFile file = Open(1);
  void* const memory = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file.descriptor, 0);
  ASSERT_NE(memory, MAP_FAILED);
  close(file.descriptor);
  EXPECT_TRUE(table_.IsOpen(file.slot));
  munmap(memory, 4096);
  EXPECT_FALSE(table_.IsOpen(file.slot));
}

TEST_F(FileTableTest, FreedSlotIsUsedAgain) {
  const NewFile file = Open(1);
  close(file.descriptor);
  table_.Free(file.slot);
  EXPECT_EQ(Open(2).slot, file.slot);
}

TEST_F(FileTableTest, DescriptorLimitIsReported) {
  const NewFile before = Open(1);
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit low = {static_cast<rlim_t>(before.descriptor) + 1, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &low);
  EXPECT_EQ(table_.Open(before.slot, true).error().code, EMFILE);
  setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_TRUE(table_.Open(before.slot + 1, true).ok());
}

}  // namespace
}  // namespace compat::vfio
