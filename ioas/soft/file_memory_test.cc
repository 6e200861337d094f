#include "ioas/soft/file_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

constexpr uint64_t kPage = 4096;

class FileMemoryTest : public testing::Test {
 protected:
  FileMemoryTest() : table_(new ProcessTableState()), fd_(memfd_create("memory", MFD_CLOEXEC)) {
    processes().Initialize();
    EXPECT_EQ(ftruncate(fd_, 4 * kPage), 0);
    owner_ = Enter(fd_);
  }
  ~FileMemoryTest() override {
    if (files().is_held(owner_)) files().Release(owner_);
    ForgetFiles(processes());
    close(fd_);
  }

  ProcessTable processes() { return ProcessTable(table_.get()); }
  FileTable files() { return FileTable(processes()); }
  uint32_t Enter(int fd) {
    struct stat status;
    EXPECT_EQ(fstat(fd, &status), 0);
    return *files().Enter({status.st_dev, status.st_ino}, 0);
  }
  // How many areas of memory are of the file.
  static int Areas() {
    FILE* const maps = fopen("/proc/self/maps", "r");
    char line[512];
    int areas = 0;
    while (fgets(line, sizeof(line), maps) != nullptr) {
      if (strstr(line, "memfd:memory") != nullptr) ++areas;
    }
    fclose(maps);
    return areas;
  }

  std::unique_ptr<ProcessTableState> table_;
  int fd_;
  uint32_t owner_;
};

TEST_F(FileMemoryTest, TheFileIsThereForReadingAndWriting) {
  ASSERT_EQ(pwrite(fd_, "x", 1, 5), 1);
  const FileMemory memory(processes(), owner_, 2 * kPage);
  ASSERT_NE(memory.address(), 0u);
  auto* const bytes = reinterpret_cast<char*>(memory.address());
  EXPECT_EQ(bytes[5], 'x');
  bytes[6] = 'y';
  char byte = 0;
  EXPECT_EQ(pread(fd_, &byte, 1, 6), 1);
  EXPECT_EQ(byte, 'y');
  EXPECT_TRUE(memory.CheckPinnable(4 * kPage).ok());
  EXPECT_EQ(memory.CheckPinnable(4 * kPage + 1).error().code, EINVAL);
}

TEST_F(FileMemoryTest, ItStaysKnownWhenTheProgramClosesIt) {
  ASSERT_TRUE(KnowFile(processes(), owner_, fd_).ok());
  close(fd_);
  EXPECT_NE(FileMemory(processes(), owner_, kPage).address(), 0u);
  EXPECT_EQ(Areas(), 1);
  EXPECT_TRUE(files().Release(owner_));
  ForgetFiles(processes());
  EXPECT_EQ(Areas(), 0);
  fd_ = memfd_create("memory", MFD_CLOEXEC);
}

TEST_F(FileMemoryTest, ANumberThatAnotherFileHasIsThatFile) {
  EXPECT_NE(FileMemory(processes(), owner_, kPage).address(), 0u);
  files().Release(owner_);
  const int other = memfd_create("memory", MFD_CLOEXEC);
  ASSERT_EQ(pwrite(other, "z", 1, 0), 1);
  ASSERT_EQ(Enter(other), owner_);
  {
    const FileMemory memory(processes(), owner_, kPage);
    ASSERT_NE(memory.address(), 0u);
    EXPECT_EQ(*reinterpret_cast<char*>(memory.address()), 'z');
  }
  EXPECT_EQ(Areas(), 1);
  close(other);
}

TEST_F(FileMemoryTest, ItGrowsWithWhatIsWanted) {
  EXPECT_NE(FileMemory(processes(), owner_, kPage).address(), 0u);
  ASSERT_EQ(ftruncate(fd_, 64 * kPage), 0);
  ASSERT_EQ(pwrite(fd_, "x", 1, 63 * kPage), 1);
  const FileMemory memory(processes(), owner_, 64 * kPage);
  ASSERT_NE(memory.address(), 0u);
  EXPECT_EQ(reinterpret_cast<char*>(memory.address())[63 * kPage], 'x');
}

TEST_F(FileMemoryTest, WhatIsNotThereIsRefused) {
  EXPECT_EQ(FileMemory(processes(), owner_, ~uint64_t{0}).address(), 0u);
  EXPECT_EQ(KnowFile(processes(), *files().Enter({1, 1}, 0), -1).error().code, EBADF);
  const uint32_t nobodys = *files().Enter({1, 2}, 0);
  const FileMemory memory(processes(), nobodys, kPage);
  EXPECT_EQ(memory.address(), 0u);
  EXPECT_EQ(memory.CheckPinnable(0).error().code, EINVAL);
}

TEST_F(FileMemoryTest, OnlyMemoryCanBePinned) {
  const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const uint32_t owner = Enter(fd);
  ASSERT_TRUE(KnowFile(processes(), owner, fd).ok());
  EXPECT_EQ(FileMemory(processes(), owner, kPage).CheckPinnable(kPage).error().code, EINVAL);
  close(fd);
}

}  // namespace
}  // namespace ioas::soft
