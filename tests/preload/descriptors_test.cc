// Descriptors of the library are like others: whatever a program does to have another descriptor of
// a file gives one that works, and the file ends with its last.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>

#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Client;
using tests::Descriptor;
using tests::kGroup;
using tests::MakeClient;
using tests::OpenContainer;
using tests::OpenGroup;

int ApiVersion(int fd) { return ioctl(fd, VFIO_GET_API_VERSION); }

// A number that is free, far from the others.
constexpr int kFarDescriptor = 777;

TEST(DescriptorsTest, TheDescriptorOfAContainerAnswers) {
  const Descriptor container = OpenContainer();
  ASSERT_TRUE(container.is_open());
  EXPECT_EQ(ApiVersion(container.get()), VFIO_API_VERSION);
}

TEST(DescriptorsTest, ClosedDescriptorsAreGone) {
  Descriptor container = OpenContainer();
  const int fd = container.get();
  container.Close();
  EXPECT_EQ(ApiVersion(fd), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(close(fd), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(DescriptorsTest, ANumberThatIsReusedByAnotherFileMeansThatFile) {
  Descriptor container = OpenContainer();
  const int fd = container.get();
  container.Close();
  const Descriptor other(open("/dev/null", O_RDWR));
  ASSERT_EQ(other.get(), fd);
  EXPECT_EQ(ApiVersion(fd), -1);
  EXPECT_EQ(errno, ENOTTY);
}

TEST(DescriptorsTest, EveryWayToDuplicateGivesAWorkingDescriptor) {
  const Descriptor container = OpenContainer();
  const Descriptor copies[] = {
      Descriptor(dup(container.get())),
      Descriptor(dup2(container.get(), kFarDescriptor)),
      Descriptor(dup3(container.get(), kFarDescriptor + 1, O_CLOEXEC)),
      Descriptor(fcntl(container.get(), F_DUPFD, kFarDescriptor)),
      Descriptor(fcntl(container.get(), F_DUPFD_CLOEXEC, kFarDescriptor)),
  };
  for (const Descriptor& copy : copies) {
    ASSERT_TRUE(copy.is_open());
    EXPECT_EQ(ApiVersion(copy.get()), VFIO_API_VERSION);
  }
  EXPECT_EQ(copies[1].get(), kFarDescriptor);
  EXPECT_EQ(copies[2].get(), kFarDescriptor + 1);
  EXPECT_EQ(fcntl(copies[0].get(), F_GETFD), 0);
  EXPECT_EQ(fcntl(copies[2].get(), F_GETFD), FD_CLOEXEC);
}

TEST(DescriptorsTest, DuplicatesAreOneFile) {
  Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
  const Descriptor copy(dup(client.container.get()));
  client.container.Close();
  const tests::Memory memory(4096);
  EXPECT_EQ(tests::MapDma(copy.get(), memory.data(), 0, 4096), 0);
  EXPECT_EQ(tests::UnmapDma(copy.get(), 0, 4096), 4096);
}

TEST(DescriptorsTest, DuplicatingOverADescriptorClosesIt) {
  Descriptor group = OpenGroup(kGroup);
  ASSERT_TRUE(group.is_open());
  ASSERT_EQ(dup2(STDERR_FILENO, group.get()), group.get());
  // A group is opened once at a time: this shows that its file has ended.
  EXPECT_TRUE(OpenGroup(kGroup).is_open());
}

TEST(DescriptorsTest, DuplicatingADescriptorOverItselfChangesNothing) {
  const Descriptor container = OpenContainer();
  EXPECT_EQ(dup2(container.get(), container.get()), container.get());
  EXPECT_EQ(ApiVersion(container.get()), VFIO_API_VERSION);
  EXPECT_EQ(dup3(container.get(), container.get(), 0), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST(DescriptorsTest, AGroupIsOpenedOnceAtATime) {
  const Descriptor group = OpenGroup(kGroup);
  const Descriptor copy(dup(group.get()));
  EXPECT_FALSE(OpenGroup(kGroup).is_open());
  EXPECT_EQ(errno, EBUSY);
}

TEST(DescriptorsTest, AFileEndsWithItsLastDescriptor) {
  Descriptor group = OpenGroup(kGroup);
  Descriptor copy(dup(group.get()));
  group.Close();
  EXPECT_FALSE(OpenGroup(kGroup).is_open());
  copy.Close();
  EXPECT_TRUE(OpenGroup(kGroup).is_open());
}

TEST(DescriptorsTest, CloseRangeClosesThem) {
  const Descriptor group = OpenGroup(kGroup);
  ASSERT_EQ(fcntl(group.get(), F_DUPFD, kFarDescriptor), kFarDescriptor);
  ASSERT_EQ(close_range(kFarDescriptor, kFarDescriptor + 10, 0), 0);
  EXPECT_EQ(ApiVersion(kFarDescriptor), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_FALSE(OpenGroup(kGroup).is_open());

  Descriptor last = OpenGroup(tests::kOtherGroup);
  ASSERT_EQ(dup2(last.get(), kFarDescriptor), kFarDescriptor);
  last.Close();
  ASSERT_EQ(close_range(kFarDescriptor, kFarDescriptor, 0), 0);
  EXPECT_TRUE(OpenGroup(tests::kOtherGroup).is_open());
}

TEST(DescriptorsTest, ContainersOpenedTwiceAreTwo) {
  const Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
  const Descriptor other = OpenContainer();
  EXPECT_EQ(tests::MappingsAvailable(other.get()), -1);
  EXPECT_GT(tests::MappingsAvailable(client.container.get()), 0);
}

TEST(DescriptorsTest, LinksInProcShowTheNodesThatWereOpened) {
  const Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
  const Descriptor device = client.OpenDevice(tests::kDevice);
  const auto shown = [](const Descriptor& descriptor) {
    std::array<char, 256> target{};
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor.get());
    const ssize_t length = readlink(link.c_str(), target.data(), target.size());
    return std::string(target.data(), length > 0 ? static_cast<size_t>(length) : 0);
  };
  EXPECT_EQ(shown(client.container), "/dev/vfio/vfio");
  EXPECT_EQ(shown(client.group), "/dev/vfio/" + std::to_string(kGroup));
  EXPECT_EQ(shown(device), "anon_inode:[vfio-device]");
}

TEST(DescriptorsTest, NodesAreCharacterDevicesByNameAndByDescriptor) {
  struct stat by_name;
  ASSERT_EQ(stat("/dev/vfio/vfio", &by_name), 0);
  EXPECT_TRUE(S_ISCHR(by_name.st_mode));
  const Descriptor container = OpenContainer();
  struct stat by_descriptor;
  ASSERT_EQ(fstat(container.get(), &by_descriptor), 0);
  EXPECT_TRUE(S_ISCHR(by_descriptor.st_mode));
  EXPECT_EQ(by_descriptor.st_rdev, by_name.st_rdev);
}

TEST(DescriptorsTest, EveryWayToOpenWorks) {
  const Descriptor folder(open("/dev/vfio", O_RDONLY | O_DIRECTORY));
  ASSERT_TRUE(folder.is_open());
  const Descriptor opened[] = {
      Descriptor(open("/dev/vfio/vfio", O_RDWR)),
      Descriptor(open64("/dev/vfio/vfio", O_RDWR)),
      Descriptor(openat(AT_FDCWD, "/dev/vfio/vfio", O_RDWR)),
      Descriptor(openat(folder.get(), "vfio", O_RDWR)),
      Descriptor(open("/dev/../dev//vfio/./vfio", O_RDWR)),
  };
  for (const Descriptor& descriptor : opened) {
    EXPECT_EQ(ApiVersion(descriptor.get()), VFIO_API_VERSION);
  }
  FILE* const stream = fopen("/dev/vfio/vfio", "r+");
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(ApiVersion(fileno(stream)), VFIO_API_VERSION);
  EXPECT_EQ(fclose(stream), 0);
}

TEST(DescriptorsTest, CloseOnExecIsWhatWasAskedFor) {
  const Descriptor kept(open("/dev/vfio/vfio", O_RDWR));
  const Descriptor closed(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(fcntl(kept.get(), F_GETFD), 0);
  EXPECT_EQ(fcntl(closed.get(), F_GETFD), FD_CLOEXEC);
  const Client client = MakeClient(kGroup, VFIO_TYPE1_IOMMU);
  EXPECT_EQ(fcntl(client.OpenDevice(tests::kDevice).get(), F_GETFD), FD_CLOEXEC);
}

TEST(DescriptorsTest, AThousandDescriptorsAreNoProblem) {
  std::array<Descriptor, 900> containers;
  for (Descriptor& container : containers) {
    container = OpenContainer();
    ASSERT_TRUE(container.is_open());
  }
  for (const Descriptor& container : containers) {
    ASSERT_EQ(ApiVersion(container.get()), VFIO_API_VERSION);
  }
}

}  // namespace
