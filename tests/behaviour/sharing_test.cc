// A legacy program and one that uses iommufd's own calls, in one address space: the legacy one's
// container is the other's /dev/iommu.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/behaviour/software_host.h"
#include "tests/support/iommufd_client.h"
#include "tests/support/nvme_driver.h"
#include "tests/support/vfio_client.h"

namespace tests {
namespace {

constexpr uint64_t kQueueIova = 0x100000;
constexpr uint64_t kDataIova = 0x200000;
constexpr uint64_t kOtherQueueIova = 0x300000;
constexpr uint64_t kQueueBytes = NvmeDriver::kQueuePages * kPage;

// The iommufd program: a device of its own in the address space that is there, which writes `value`
// to the page that the legacy program mapped. Returns the line that was wrong; 0: none.
int BeIommufdProgram(int iommufd, std::byte value) {
  const uint32_t ioas = LegacyIoas(iommufd);
  const Descriptor device(open("/dev/vfio/devices/vfio1", O_RDWR));
  if (Bind(iommufd, device.get()) == 0 || !Attach(device.get(), ioas)) return __LINE__;
  const Memory memory(kQueueBytes + kPage);
  constexpr uint64_t kOwnIova = kOtherQueueIova + kQueueBytes;
  if (!MapMemory(iommufd, ioas, memory.data(), kOtherQueueIova, memory.size())) return __LINE__;
  NvmeDriver driver(memory.data(), kOtherQueueIova);
  if (!driver.Start(device.get())) return __LINE__;
  std::fill_n(memory.data() + kQueueBytes, kPage, value);
  if (driver.WriteDisk(1, kOwnIova) != 0) return __LINE__;
  if (driver.ReadDisk(1, kDataIova) != 0) return __LINE__;
  // What the legacy program does not know of is gone again.
  driver.Close();
  if (!UnmapIoas(iommufd, ioas, kOtherQueueIova, memory.size())) return __LINE__;
  return 0;
}

TEST(SharingTest, ALegacyProgramAndAnIommufdProgramUseOneAddressSpace) {
  const Descriptor iommufd(open("/dev/iommu", O_RDWR));
  ASSERT_TRUE(iommufd.is_open());
  const LegacyPlace place = PlaceOf(Machine::kAuto);
  const Descriptor group = OpenGroup(place.group);
  int container = iommufd.get();
  ASSERT_EQ(ioctl(group.get(), VFIO_GROUP_SET_CONTAINER, &container), 0);
  ASSERT_EQ(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
  const Descriptor device(ioctl(group.get(), VFIO_GROUP_GET_DEVICE_FD, place.address.c_str()));
  ASSERT_TRUE(device.is_open());
  const Memory queues(kQueueBytes);
  const Memory data(kPage);
  ASSERT_EQ(MapDma(container, queues.data(), kQueueIova, queues.size()), 0);
  ASSERT_EQ(MapDma(container, data.data(), kDataIova, kPage), 0);
  NvmeDriver driver(queues.data(), kQueueIova);
  ASSERT_TRUE(driver.Start(device.get()));
  std::fill_n(data.data(), kPage, std::byte{0x11});
  ASSERT_EQ(driver.WriteDisk(0, kDataIova), 0);

  const pid_t child = fork();
  if (child == 0) _exit(BeIommufdProgram(container, std::byte{0x22}));
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0) << "line " << WEXITSTATUS(status);
  EXPECT_EQ(std::count(data.data(), data.data() + kPage, std::byte{0x22}),
            static_cast<ptrdiff_t>(kPage));
  // The legacy program's device goes on.
  ASSERT_EQ(driver.ReadDisk(0, kDataIova), 0);
  EXPECT_EQ(std::count(data.data(), data.data() + kPage, std::byte{0x11}),
            static_cast<ptrdiff_t>(kPage));
  // What either maps the other may unmap.
  ASSERT_TRUE(UnmapIoas(container, LegacyIoas(container), kDataIova, kPage));
  EXPECT_NE(driver.ReadDisk(0, kDataIova), 0);
  ASSERT_TRUE(MapMemory(container, LegacyIoas(container), data.data(), kDataIova, kPage));
  EXPECT_EQ(UnmapDma(container, kDataIova, kPage), static_cast<int64_t>(kPage));
}

}  // namespace
}  // namespace tests

int main(int argc, char** argv) {
  return tests::RunOnSoftwareHost(argv, {}, [&] {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
  });
}
