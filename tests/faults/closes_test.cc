// Descriptors that one thread of a program closes, and whose numbers others get, while threads call
// on them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <thread>
#include <vector>

#include "tests/faults/open_descriptors.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Client;
using tests::Descriptor;

constexpr uint64_t kPage = 4096;
constexpr int kUsers = 3;
constexpr int kRounds = 50;
// Numbers that nobody else gets.
constexpr int kNumber = 700;
constexpr int kOtherNumber = 701;

// What a call may say of a descriptor that is closed, or another's by now.
bool IsExpected(int error) {
  constexpr int kErrors[] = {0,     EBADF,  ENOTTY, EINVAL, EEXIST, ENODEV,
                             EBUSY, EFAULT, ENXIO,  ENOENT, ENOSPC, EBADFD};
  return std::find(std::begin(kErrors), std::end(kErrors), error) != std::end(kErrors);
}

class ClosesTest : public testing::Test {
 protected:
  // Calls of all kinds on both numbers.
  void CallUntilStopped() {
    while (!stop_) {
      for (const int fd : {kNumber, kOtherNumber}) CallOnce(fd);
      ++calls_;
    }
  }
  void CallOnce(int fd) {
    Check(tests::MapDma(fd, memory_.data(), 0, kPage));
    Check(static_cast<int>(-std::min<int64_t>(tests::UnmapDma(fd, 0, kPage), 0)));
    vfio_group_status status = {};
    status.argsz = sizeof(status);
    Check(ioctl(fd, VFIO_GROUP_GET_STATUS, &status) < 0 ? errno : 0);
    const Descriptor device(ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, tests::kDevice));
    Check(device.is_open() ? 0 : errno);
    Check(ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0 ? errno : 0);
    char byte = 0;
    Check(pread(fd, &byte, 1, 0) < 0 ? errno : 0);
  }
  void Check(int error) {
    if (!IsExpected(error)) wrong_ = error;
  }
  // Until the others have called some more.
  void LetThemCall() const {
    const uint64_t enough = calls_ + 2;
    while (calls_ < enough) std::this_thread::yield();
  }

  tests::Memory memory_{kPage};
  std::atomic<uint64_t> calls_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> wrong_{0};
};

TEST_F(ClosesTest, CallsOnDescriptorsThatAreClosedAndReusedHarmNobody) {
  // Beside all of it one goes on undisturbed.
  const Client undisturbed = tests::MakeClient(tests::kOtherGroup, VFIO_TYPE1v2_IOMMU);
  // So that what stays with a process that has used a device is there.
  tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU).OpenDevice(tests::kDevice).Close();
  const int descriptors = tests::OpenDescriptors();
  std::vector<std::thread> users;
  for (int i = 0; i < kUsers; ++i) users.emplace_back([this] { CallUntilStopped(); });
  for (int i = 0; i < kRounds; ++i) {
    Client client = tests::MakeClient(tests::kGroup, i % 2 == 0 ? VFIO_TYPE1v2_IOMMU : 0);
    dup2(client.container.get(), kNumber);
    dup2(client.group.get(), kOtherNumber);
    client.container.Close();
    client.group.Close();
    LetThemCall();
    // Swapped, for others of another kind, and closed.
    const Descriptor null(open("/dev/null", O_RDWR | O_CLOEXEC));
    dup2(i % 3 == 0 ? null.get() : kOtherNumber, kNumber);
    LetThemCall();
    close(kNumber);
    ASSERT_EQ(tests::MapDma(undisturbed.container.get(), memory_.data(), 0, kPage), 0);
    close(kOtherNumber);
    ASSERT_EQ(tests::UnmapDma(undisturbed.container.get(), 0, kPage), 4096);
  }
  stop_ = true;
  for (std::thread& user : users) user.join();
  EXPECT_EQ(wrong_, 0) << strerrorname_np(wrong_);
  EXPECT_EQ(tests::OpenDescriptors(), descriptors);
  const Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  EXPECT_EQ(tests::MappingsAvailable(client.container.get()), 65535);
  EXPECT_TRUE(client.OpenDevice(tests::kDevice).is_open());
}

}  // namespace
