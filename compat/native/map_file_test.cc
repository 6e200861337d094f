// Mappings of files, and the process that answers for them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/native/native_fixture.h"
#include "ioas/file_table.h"

namespace compat::native {
namespace {

constexpr uint32_t kFlags =
    iommufd::kIoasMapFixedIova | iommufd::kIoasMapReadable | iommufd::kIoasMapWriteable;

class MapFileTest : public NativeFixture {
 protected:
  MapFileTest() : file_(memfd_create("memory", MFD_CLOEXEC)), ioas_(NewIoas()) {
    EXPECT_EQ(ftruncate(file_, 16 * kPage), 0);
  }
  ~MapFileTest() override { close(file_); }

  long MapFile(uint64_t iova, uint64_t start, uint64_t length, uint32_t flags = kFlags) {
    return MapFileOf(file_, iova, start, length, flags);
  }
  long MapFileOf(int fd, uint64_t iova, uint64_t start, uint64_t length, uint32_t flags = kFlags) {
    iommufd::IoasMapFile command = {0, flags, ioas_, fd, start, length, iova};
    return Call(iommufd::kIoasMapFile, command);
  }
  long Unmap(uint64_t iova, uint64_t length) {
    iommufd::IoasUnmap command = {0, ioas_, iova, length};
    return Call(iommufd::kIoasUnmap, command);
  }
  long Copy(uint64_t to, uint64_t from, uint64_t length) {
    iommufd::IoasCopy command = {};
    command.flags = kFlags;
    command.dst_ioas_id = ioas_;
    command.src_ioas_id = ioas_;
    command.length = length;
    command.dst_iova = to;
    command.src_iova = from;
    return Call(iommufd::kIoasCopy, command);
  }
  long ChangeProcess() {
    iommufd::IoasChangeProcess command = {};
    return Call(iommufd::kIoasChangeProcess, command);
  }
  void AttachDevice() {
    const int cdev = host_.OpenCdev(0);
    uint32_t id = 0;
    ASSERT_EQ(Bind(cdev, id), 0);
    uint32_t table = ioas_;
    ASSERT_EQ(Attach(cdev, table), 0);
  }
  ioas::ProcessTable processes() { return host_.platform().processes(); }
  uint64_t Locked() { return processes().locked_bytes(*host_.host().OwnProcess()); }

  int file_;
  uint32_t ioas_;
};

TEST_F(MapFileTest, AFileIsMappedCopiedAndUnmapped) {
  ASSERT_EQ(MapFile(kPage, 0, 4 * kPage), 0);
  EXPECT_EQ(Locked(), 0u);
  AttachDevice();
  EXPECT_EQ(Locked(), 4 * kPage);
  ASSERT_EQ(MapFile(8 * kPage, 12 * kPage, 4 * kPage), 0);
  EXPECT_EQ(Copy(32 * kPage, 2 * kPage, 2 * kPage), 0);
  EXPECT_EQ(Locked(), 10 * kPage);
  // A place for it is found.
  EXPECT_EQ(MapFile(0, 0, kPage, iommufd::kIoasMapReadable), 0);
  EXPECT_EQ(Unmap(0, UINT64_MAX), 0);
  EXPECT_EQ(Locked(), 0u);
  EXPECT_FALSE(ioas::FileTable(processes()).is_held(ioas::kFirstFile));
}

TEST_F(MapFileTest, WhatIsNoFileOrNoRangeIsRefused) {
  EXPECT_EQ(MapFileOf(-1, 0, 0, kPage), -EBADF);
  const int path = open("/proc/self", O_PATH | O_CLOEXEC);
  EXPECT_EQ(MapFileOf(path, 0, 0, kPage), -EBADF);
  close(path);
  EXPECT_EQ(MapFile(0, 0, kPage, kFlags | 8), -EOPNOTSUPP);
  EXPECT_EQ(MapFile(0, 0, kPage, iommufd::kIoasMapFixedIova), -EINVAL);
  EXPECT_EQ(MapFile(UINT64_MAX, 0, kPage), -EOVERFLOW);
  EXPECT_EQ(MapFile(0, 0, UINT64_MAX), -EOVERFLOW);
  EXPECT_EQ(MapFile(0, UINT64_MAX - 1, kPage), -EOVERFLOW);
  EXPECT_EQ(MapFile(0, 0, 0), -EINVAL);
  ioas_ += 100;
  EXPECT_EQ(MapFileOf(-1, 0, 0, kPage), -ENOENT);
  EXPECT_FALSE(ioas::FileTable(processes()).is_held(ioas::kFirstFile));
}

TEST_F(MapFileTest, OnceADeviceIsThereTheMemoryHasToBe) {
  ASSERT_EQ(MapFile(kPage, 15 * kPage, 2 * kPage), 0);
  EXPECT_EQ(Unmap(kPage, 2 * kPage), 0);
  AttachDevice();
  EXPECT_EQ(MapFile(kPage, 15 * kPage, 2 * kPage), -EINVAL);
  const int image = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(MapFileOf(image, kPage, 0, kPage), -EINVAL);
  close(image);
  EXPECT_EQ(Locked(), 0u);
}

TEST_F(MapFileTest, AnotherProcessTakesOver) {
  AttachDevice();
  ASSERT_EQ(MapFile(kPage, 0, 4 * kPage), 0);
  ASSERT_EQ(MapFile(16 * kPage, 4 * kPage, kPage), 0);
  const uint32_t parent = *host_.host().OwnProcess();
  EXPECT_EQ(ChangeProcess(), 0);
  const pid_t child = host_.Fork();
  if (child == 0) {
    const bool changed = ChangeProcess() == 0;
    const bool is_here = Locked() == 5 * kPage && processes().locked_bytes(parent) == 0;
    _exit(changed && is_here && Unmap(kPage, 4 * kPage) == 0 && Locked() == kPage ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Locked(), 0u);
  EXPECT_EQ(ChangeProcess(), 0);
  EXPECT_EQ(Locked(), kPage);
}

TEST_F(MapFileTest, MemoryOfAProcessStaysItsOwn) {
  ASSERT_EQ(MapFile(kPage, 0, kPage), 0);
  ASSERT_EQ(Map(ioas_, 2 * kPage, kPage), 0);
  EXPECT_EQ(ChangeProcess(), -EINVAL);
  EXPECT_EQ(Unmap(2 * kPage, kPage), 0);
  EXPECT_EQ(ChangeProcess(), 0);
  iommufd::IoasChangeProcess command = {0, 1};
  EXPECT_EQ(Call(iommufd::kIoasChangeProcess, command), -EOPNOTSUPP);
}

}  // namespace
}  // namespace compat::native
