#include "ioas/soft/file_search.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "gtest/gtest.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

constexpr uint64_t kPage = 4096;

class FileSearchTest : public testing::Test {
 protected:
  FileSearchTest() : table_(new ProcessTableState()), fd_(memfd_create("memory", MFD_CLOEXEC)) {
    processes().Initialize();
    EXPECT_EQ(ftruncate(fd_, 8 * kPage), 0);
  }
  ~FileSearchTest() override { close(fd_); }

  ProcessTable processes() { return ProcessTable(table_.get()); }
  uint64_t Map(uint64_t pages, int flags, uint64_t offset) const {
    void* const memory = mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, flags, fd_,
                              static_cast<off_t>(offset));
    EXPECT_NE(memory, MAP_FAILED);
    return reinterpret_cast<uint64_t>(memory);
  }

  std::unique_ptr<ProcessTableState> table_;
  int fd_;
};

TEST_F(FileSearchTest, AFileIsFoundAmongTheDescriptors) {
  const FileIdentity identity = *IdentityOf(fd_);
  const Result<int> found = OpenByIdentity(processes(), identity);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(IsHidden(*found));
  EXPECT_NE(*found, fd_);
  EXPECT_EQ(*IdentityOf(*found), identity);
  CloseHidden(*found);
  EXPECT_EQ(IdentityOf(-1).error().code, EBADF);
  EXPECT_EQ(OpenAgain(-1).error().code, EBADF);
  EXPECT_EQ(OpenByIdentity(processes(), {identity.device, ~uint64_t{0}}).error().code, ENOENT);
}

TEST_F(FileSearchTest, AnotherProcessMayHaveIt) {
  int ready[2];
  int end[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(end), 0);
  const FileIdentity identity = *IdentityOf(fd_);
  // The table lies in this process's memory: the child says who it is by its registration here.
  const pid_t child = fork();
  if (child == 0) {
    close(end[1]);
    char byte = 0;
    (void)!write(ready[1], &byte, 1);
    (void)!read(end[0], &byte, 1);
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(fd_);
  EXPECT_FALSE(OpenByIdentity(processes(), identity).ok());
  ProcessEntry& entry = table_->entries[3];
  entry.pid = child;
  entry.start_time = ProcessStartTime(child);
  const Result<int> found = OpenByIdentity(processes(), identity);
  EXPECT_TRUE(found.ok());
  if (found.ok()) CloseHidden(*found);
  for (const int each : {ready[0], ready[1], end[0], end[1]}) close(each);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

TEST_F(FileSearchTest, MemoryIsAPieceOfAFileIfAllOfItIs) {
  const uint64_t memory = Map(4, MAP_SHARED, 2 * kPage);
  const std::optional<FilePiece> piece = FileBehind(memory + kPage, 2 * kPage);
  ASSERT_TRUE(piece.has_value());
  EXPECT_EQ(piece->offset, 3 * kPage);
  EXPECT_EQ(piece->identity, *IdentityOf(fd_));
  // Two areas of the kernel's that continue each other.
  ASSERT_EQ(mprotect(reinterpret_cast<void*>(memory + kPage), kPage, PROT_READ), 0);
  EXPECT_TRUE(FileBehind(memory, 4 * kPage).has_value());
  // A hole, and pages of another place.
  ASSERT_EQ(munmap(reinterpret_cast<void*>(memory + 2 * kPage), kPage), 0);
  EXPECT_FALSE(FileBehind(memory, 4 * kPage).has_value());
  ASSERT_NE(mmap(reinterpret_cast<void*>(memory + 2 * kPage), kPage, PROT_READ,
                 MAP_SHARED | MAP_FIXED, fd_, 0),
            MAP_FAILED);
  EXPECT_FALSE(FileBehind(memory, 4 * kPage).has_value());
  munmap(reinterpret_cast<void*>(memory), 4 * kPage);
}

TEST_F(FileSearchTest, PrivateMemoryIsNoFiles) {
  const uint64_t memory = Map(1, MAP_PRIVATE, 0);
  EXPECT_FALSE(FileBehind(memory, kPage).has_value());
  munmap(reinterpret_cast<void*>(memory), kPage);
  EXPECT_FALSE(FileBehind(0, kPage).has_value());
  EXPECT_FALSE(FileBehind(~uint64_t{0} - kPage, kPage).has_value());
}

}  // namespace
}  // namespace ioas::soft
