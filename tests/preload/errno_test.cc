// errno is the program's: a call that succeeds leaves it alone, one that fails sets it as the
// kernel would.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Descriptor;

// A value that no call sets.
constexpr int kMark = 4711;

// Expects that `call` succeeds and leaves errno as it was; returns what it returned.
template <typename Call>
auto Quietly(Call call) {
  errno = kMark;
  const auto result = call();
  EXPECT_EQ(errno, kMark);
  EXPECT_GE(result, 0);
  return result;
}

TEST(ErrnoTest, SuccessLeavesItAlone) {
  const Descriptor container(Quietly([] { return open("/dev/vfio/vfio", O_RDWR); }));
  const std::string path = "/dev/vfio/" + std::to_string(tests::kGroup);
  const Descriptor group(Quietly([&] { return open(path.c_str(), O_RDWR); }));
  int number = container.get();
  Quietly([&] { return ioctl(group.get(), VFIO_GROUP_SET_CONTAINER, &number); });
  Quietly([&] { return ioctl(number, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU); });
  Quietly([&] { return ioctl(number, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU); });
  const tests::Memory memory(4096);
  Quietly([&] { return tests::MapDma(number, memory.data(), 0, 4096); });
  Quietly([&] { return tests::UnmapDma(number, 0, 4096); });
  const Descriptor device(
      Quietly([&] { return ioctl(group.get(), VFIO_GROUP_GET_DEVICE_FD, tests::kDevice); }));
  vfio_region_info region{};
  region.argsz = sizeof(region);
  region.index = VFIO_PCI_CONFIG_REGION_INDEX;
  Quietly([&] { return ioctl(device.get(), VFIO_DEVICE_GET_REGION_INFO, &region); });
  uint16_t vendor = 0;
  Quietly([&] { return pread(device.get(), &vendor, 2, static_cast<off_t>(region.offset)); });
  Quietly([&] { return close(Quietly([&] { return dup(number); })); });
  struct stat status;
  Quietly([&] { return stat("/dev/vfio/vfio", &status); });
}

TEST(ErrnoTest, SuccessOnForeignDescriptorsLeavesItAlone) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Descriptor reader(ends[0]);
  const Descriptor writer(ends[1]);
  char byte = 'x';
  int waiting = 0;
  Quietly([&] { return write(writer.get(), &byte, 1); });
  Quietly([&] { return ioctl(reader.get(), FIONREAD, &waiting); });
  Quietly([&] { return read(reader.get(), &byte, 1); });
  Quietly([&] { return fcntl(reader.get(), F_GETFD); });
  Quietly([&] { return close(Quietly([] { return open("/dev/null", O_RDONLY); })); });
  EXPECT_EQ(waiting, 1);
}

TEST(ErrnoTest, FailuresOnForeignDescriptorsAreTheKernelsOwn) {
  errno = kMark;
  EXPECT_EQ(open("/nonexistent/file", O_RDONLY), -1);
  EXPECT_EQ(errno, ENOENT);
  const Descriptor null(open("/dev/null", O_RDONLY));
  EXPECT_EQ(ioctl(null.get(), VFIO_GET_API_VERSION), -1);
  EXPECT_EQ(errno, ENOTTY);
  EXPECT_EQ(ioctl(-1, VFIO_GET_API_VERSION), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(close(-1), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(ErrnoTest, NamesThatDoNotExistBesideOursAreMissing) {
  EXPECT_EQ(open("/dev/vfio/4242", O_RDWR), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(access("/dev/vfio/4242", F_OK), -1);
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
