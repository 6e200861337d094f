// Contexts, objects and devices, driven as a program would. What single calls answer is the
// business of tests/selftests, where the kernel's own tests do the asking.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/native/context.h"
#include "compat/native/native_fixture.h"
#include "compat/soft/test_host.h"

namespace compat::native {
namespace {

using soft::TestHost;

using NativeTest = NativeFixture;

TEST_F(NativeTest, ADeviceIsBoundAttachedAndGivenUp) {
  const uint32_t ioas = NewIoas();
  ASSERT_EQ(Map(ioas, kPage, 4 * kPage), 0);
  const int cdev = host_.OpenCdev(0);
  ASSERT_GE(cdev, 0);
  uint32_t table = ioas;
  abi::DeviceInfo info = {sizeof(info), 0, 0, 0, 0, 0};
  EXPECT_EQ(host_.Ioctl(cdev, abi::kDeviceGetInfo, &info), -EINVAL);
  EXPECT_EQ(Attach(cdev, table), -EINVAL);
  uint32_t id = 0;
  ASSERT_EQ(Bind(cdev, id), 0);
  EXPECT_EQ(Bind(cdev, id), -EINVAL);
  EXPECT_EQ(host_.Ioctl(cdev, abi::kDeviceGetInfo, &info), 0);
  uint32_t word = 0;
  EXPECT_EQ(host_.Read(cdev, &word, 4, uint64_t{abi::kPciConfigRegionIndex} << 40), 4);

  ASSERT_EQ(Attach(cdev, table), 0);
  EXPECT_NE(table, ioas);
  EXPECT_EQ(Usable(ioas).size(), 2u);
  EXPECT_EQ(Usable(ioas)[1].last, 0x7fffffffffu);
  EXPECT_EQ(Destroy(ioas), -EBUSY);
  EXPECT_EQ(Destroy(table), -EBUSY);
  EXPECT_EQ(Destroy(id), -EBUSY);
  EXPECT_EQ(Detach(cdev), 0);
  // The page table went with its last device.
  EXPECT_EQ(Destroy(table), -ENOENT);
  EXPECT_EQ(Usable(ioas).size(), 1u);
  host_.Close(cdev);
  EXPECT_EQ(Destroy(id), -ENOENT);
  EXPECT_EQ(Destroy(ioas), 0);
}

TEST_F(NativeTest, AGroupAndACdevKeepEachOtherOut) {
  const int cdev = host_.OpenCdev(0);
  const int group = host_.OpenGroup(TestHost::kGroup);
  uint32_t id = 0;
  EXPECT_EQ(Bind(cdev, id), -EBUSY);
  host_.Close(group);
  EXPECT_EQ(Bind(cdev, id), 0);
  EXPECT_EQ(host_.OpenGroup(TestHost::kGroup), -EBUSY);
  const int again = host_.OpenCdev(0);
  EXPECT_EQ(Bind(again, id), -EINVAL);
  host_.Close(cdev);
  EXPECT_EQ(Bind(again, id), 0);
  host_.Close(again);
  EXPECT_GE(host_.OpenGroup(TestHost::kGroup), 0);
}

TEST_F(NativeTest, TheDevicesOfAGroupHaveOneOwnerAndOnePageTable) {
  const uint32_t ioas = NewIoas();
  const uint32_t other = NewIoas();
  const int one = host_.OpenCdev(1);
  const int two = host_.OpenCdev(2);
  uint32_t id = 0;
  ASSERT_EQ(Bind(one, id), 0);
  const int first = iommufd_;
  iommufd_ = host_.OpenIommufd();
  EXPECT_EQ(Bind(two, id), -EBUSY);
  host_.Close(iommufd_);
  iommufd_ = first;
  ASSERT_EQ(Bind(two, id), 0);
  uint32_t table = ioas;
  ASSERT_EQ(Attach(one, table), 0);
  uint32_t elsewhere = other;
  EXPECT_EQ(Attach(two, elsewhere), -EINVAL);
  uint32_t same = ioas;
  ASSERT_EQ(Attach(two, same), 0);
  EXPECT_EQ(same, table);
  // Replacing one replaces both.
  elsewhere = other;
  ASSERT_EQ(Attach(one, elsewhere), 0);
  EXPECT_EQ(Destroy(ioas), 0);
  EXPECT_EQ(Destroy(other), -EBUSY);
}

TEST_F(NativeTest, AMappingOutOfTheDevicesReachKeepsItOut) {
  const uint32_t ioas = NewIoas();
  ASSERT_EQ(Map(ioas, uint64_t{1} << 40, kPage), 0);
  const int cdev = host_.OpenCdev(0);
  uint32_t id = 0;
  ASSERT_EQ(Bind(cdev, id), 0);
  const auto before = Usable(ioas);
  uint32_t table = ioas;
  EXPECT_EQ(Attach(cdev, table), -EADDRINUSE);
  EXPECT_EQ(Usable(ioas).size(), before.size());
  EXPECT_EQ(Destroy(ioas), 0);
}

TEST_F(NativeTest, MemoryIsLookedAtOnceADeviceIsThere) {
  const uint32_t ioas = NewIoas();
  mprotect(memory_ + kPage, kPage, PROT_NONE);
  ASSERT_EQ(Map(ioas, 0, 3 * kPage), 0);
  const int cdev = host_.OpenCdev(0);
  uint32_t id = 0;
  ASSERT_EQ(Bind(cdev, id), 0);
  uint32_t table = ioas;
  EXPECT_EQ(Attach(cdev, table), -EFAULT);
  mprotect(memory_ + kPage, kPage, PROT_READ | PROT_WRITE);
  EXPECT_EQ(Attach(cdev, table), 0);
  mprotect(memory_ + kPage, kPage, PROT_NONE);
  EXPECT_EQ(Map(ioas, 16 * kPage, kPage, kPage), -EFAULT);
}

TEST_F(NativeTest, ACopyLeadsWhereTheOriginalDoes) {
  const uint32_t from = NewIoas();
  const uint32_t to = NewIoas();
  ASSERT_EQ(Map(from, 0, 2 * kPage), 0);
  ASSERT_EQ(Map(from, 2 * kPage, 2 * kPage, 8 * kPage), 0);
  iommufd::IoasCopy copy = {};
  copy.flags = iommufd::kIoasMapReadable | iommufd::kIoasMapFixedIova;
  copy.dst_ioas_id = to;
  copy.src_ioas_id = from;
  copy.length = 2 * kPage;
  copy.dst_iova = 64 * kPage;
  copy.src_iova = kPage;
  EXPECT_EQ(Call(iommufd::kIoasCopy, copy), 0);
  EXPECT_EQ(Call(iommufd::kIoasCopy, copy), -EEXIST);
  copy.src_iova = 3 * kPage;
  copy.dst_iova = 0;
  EXPECT_EQ(Call(iommufd::kIoasCopy, copy), -ENOENT);
  iommufd::IoasUnmap unmap = {};
  unmap.ioas_id = to;
  unmap.iova = 64 * kPage;
  unmap.length = kPage;
  // It is two mappings now.
  EXPECT_EQ(Call(iommufd::kIoasUnmap, unmap), 0);
  unmap.iova = 0;
  unmap.length = UINT64_MAX;
  EXPECT_EQ(Call(iommufd::kIoasUnmap, unmap), 0);
  EXPECT_EQ(unmap.length, kPage);
}

TEST_F(NativeTest, AContextLivesAsLongAsADeviceIsBoundToIt) {
  host_.Close(host_.OpenIommufd());
  const size_t before = BytesInUse();
  const int context = iommufd_;
  iommufd_ = host_.OpenIommufd();
  const uint32_t ioas = NewIoas();
  ASSERT_EQ(Map(ioas, 0, kPage), 0);
  const int cdev = host_.OpenCdev(0);
  uint32_t id = 0;
  ASSERT_EQ(Bind(cdev, id), 0);
  uint32_t table = ioas;
  ASSERT_EQ(Attach(cdev, table), 0);
  host_.Close(iommufd_);
  EXPECT_EQ(Detach(cdev), 0);
  table = ioas;
  EXPECT_EQ(Attach(cdev, table), 0);
  host_.Close(cdev);
  iommufd_ = context;
  EXPECT_EQ(BytesInUse(), before);
}

// BIND looks for lost files, and finds that its own is one.
TEST_F(NativeTest, ADeviceThatIsClosedMeanwhileIsNotBound) {
  const int cdev = host_.OpenCdev(0);
  host_.Lose(cdev);
  uint32_t id = 0;
  EXPECT_EQ(Bind(cdev, id), -EBADF);
  EXPECT_EQ(Bind(host_.OpenCdev(0), id), 0);
}

TEST_F(NativeTest, AForkedChildSharesTheContext) {
  const uint32_t ioas = NewIoas();
  const pid_t child = host_.Fork();
  if (child == 0) _exit(Map(ioas, 0, kPage) == 0 ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Map(ioas, 0, kPage), -EEXIST);
}

// Whoever attaches a device has nothing at the address that the other process has mapped.
TEST_F(NativeTest, MemoryIsThatOfTheProcessThatMappedIt) {
  const uint32_t ioas = NewIoas();
  const int cdev = host_.OpenCdev(0);
  uint32_t id = 0;
  ASSERT_EQ(Bind(cdev, id), 0);
  int go_on[2];
  int mapped[2];
  ASSERT_EQ(pipe(go_on), 0);
  ASSERT_EQ(pipe(mapped), 0);
  const pid_t child = host_.Fork();
  if (child == 0) {
    char byte = Map(ioas, 0, 2 * kPage) == 0 ? 0 : 1;
    byte |= write(mapped[1], &byte, 1) != 1 || read(go_on[0], &byte, 1) != 1 ? 1 : 0;
    _exit(byte);
  }
  char byte = 1;
  ASSERT_EQ(read(mapped[0], &byte, 1), 1);
  munmap(memory_, 2 * kPage);
  uint32_t table = ioas;
  EXPECT_EQ(Attach(cdev, table), 0);
  EXPECT_EQ(Detach(cdev), 0);
  byte = 0;
  ASSERT_EQ(write(go_on[1], &byte, 1), 1);
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  table = ioas;
  EXPECT_EQ(Attach(cdev, table), -EFAULT);
  for (const int fd : {go_on[0], go_on[1], mapped[0], mapped[1]}) close(fd);
}

// As a process leaves it that dies in the middle of an attachment: counts are wrong, and a page
// table has lost its address space.
TEST_F(NativeTest, AContextWhoseHolderDiedAgreesWithItselfAgain) {
  const uint32_t ioas = NewIoas();
  const int cdev = host_.OpenCdev(0);
  uint32_t id = 0;
  ASSERT_EQ(Bind(cdev, id), 0);
  uint32_t table = ioas;
  ASSERT_EQ(Attach(cdev, table), 0);
  const uint32_t other = NewIoas();
  uint32_t lost = other;
  const int another = host_.OpenCdev(1);
  uint32_t another_id = 0;
  ASSERT_EQ(Bind(another, another_id), 0);
  ASSERT_EQ(Attach(another, lost), 0);
  const pid_t child = host_.Fork();
  if (child == 0) {
    ContextState& state = *host_.host().arena().Get(host_.host().state().contexts);
    const Context context({host_.host(), state, state.slot});
    context.AddUser(ioas);
    context.DropUser(id);
    context.objects().Remove(other);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  // The page table went with its address space, and the device is attached to nothing.
  EXPECT_EQ(Destroy(lost), -ENOENT);
  EXPECT_EQ(Detach(another), 0);
  EXPECT_EQ(Destroy(id), -EBUSY);
  EXPECT_EQ(Detach(cdev), 0);
  EXPECT_EQ(Destroy(ioas), 0);
  host_.Close(cdev);
  host_.Close(another);
  EXPECT_EQ(Destroy(id), -ENOENT);
}

}  // namespace
}  // namespace compat::native
