// Files of a host in this process that are closed by one thread, and their slots reused, while
// others call on them: what the library does whose program closes a descriptor in the middle of
// calls. Under ThreadSanitizer all of it is seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_group.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"
#include "tests/faults/host_picture.h"
#include "tests/support/vfio_client.h"

namespace {

namespace abi = compat::abi;
using compat::soft::TestHost;

constexpr int kUsers = 3;
constexpr int kRounds = 100;

// What is open at the moment, or was: a descriptor and its slot.
struct PublishedFile {
  std::atomic<int> descriptor{-1};
  std::atomic<uint32_t> slot{0};
};

class HostClosesTest : public testing::Test {
 protected:
  void Publish(size_t index, int fd) {
    ASSERT_GE(fd, 0);
    files_[index].slot = host_.Slot(fd);
    files_[index].descriptor = fd;
  }

  // What a program does from the first open to the last close, with some rest for the others to
  // call.
  void OpenAndClose(std::mt19937& random) {
    int container = host_.OpenContainer();
    const int group = host_.OpenGroup(TestHost::kGroup);
    Publish(0, container);
    Publish(1, group);
    // The others may have been faster with either.
    host_.Ioctl(group, abi::kGroupSetContainer, &container);
    host_.Ioctl(container, abi::kSetIommu, uint64_t{abi::kType1v2Iommu});
    const int device = host_.OpenDevice(group, TestHost::kDevice);
    if (device >= 0) Publish(2, device);
    const uint64_t enough = calls_ + random() % 50;
    while (calls_ < enough && is_used_) std::this_thread::yield();
    std::array<int, 3> open = {container, group, device};
    std::shuffle(open.begin(), open.end(), random);
    for (const int fd : open) {
      if (fd >= 0) host_.Close(fd);
    }
  }

  // One call on a file that may be gone, or another. Returns ioctl()'s result.
  long CallAtRandom(std::mt19937& random) {
    const PublishedFile& file = files_[random() % files_.size()];
    const uint32_t slot = file.slot;
    if (slot == 0) return 0;
    abi::DmaMap map = {.argsz = sizeof(map),
                       .flags = abi::kDmaMapFlagRead,
                       .vaddr = reinterpret_cast<uint64_t>(memory_.data()),
                       .iova = random() % 16 * 4096,
                       .size = 4096};
    abi::DmaUnmap unmap = {.argsz = sizeof(unmap), .flags = 0, .iova = 0, .size = 16 * 4096};
    abi::GroupStatus status = {.argsz = sizeof(status), .flags = 0};
    const std::pair<uint32_t, const void*> calls[] = {
        {abi::kIommuMapDma, &map},
        {abi::kIommuUnmapDma, &unmap},
        {abi::kGroupGetStatus, &status},
        {abi::kGetApiVersion, nullptr},
        {abi::kSetIommu, reinterpret_cast<const void*>(uint64_t{abi::kType1v2Iommu})},
        {abi::kGroupUnsetContainer, nullptr},
        {abi::kDeviceReset, nullptr},
        {abi::VfioRequest(90), nullptr},
    };
    const auto& [request, argument] = calls[random() % std::size(calls)];
    compat::soft::TestMemory memory;
    const auto result = host_.host().Ioctl(file.descriptor, slot,
                                           {request, reinterpret_cast<uint64_t>(argument), memory});
    return result.ok() ? *result : -result.error().code;
  }

  void Use(unsigned seed) {
    std::mt19937 random(seed);
    while (!stop_) {
      const long result = CallAtRandom(random);
      constexpr int kLegacy[] = {EBADF,  EINVAL, ENOTTY, EEXIST, EBUSY,
                                 ENOSPC, EFAULT, ENODEV, ENOENT, ENXIO};
      if (result < 0 &&
          std::find(std::begin(kLegacy), std::end(kLegacy), -result) == std::end(kLegacy)) {
        wrong_ = -result;
      }
      ++calls_;
    }
  }

  TestHost host_;
  tests::Memory memory_{4096};
  std::array<PublishedFile, 3> files_;
  bool is_used_ = false;
  std::atomic<uint64_t> calls_{0};
  std::atomic<bool> stop_{false};
  std::atomic<long> wrong_{0};
};

TEST_F(HostClosesTest, CallsOnFilesThatAreClosedAndReusedLeaveNothing) {
  std::mt19937 random(kUsers);
  // So that what stays with a process that has used a device is there.
  OpenAndClose(random);
  is_used_ = true;
  const std::string before = tests::PictureOf(host_);
  std::vector<std::thread> users;
  for (int i = 0; i < kUsers; ++i) users.emplace_back([this, i] { Use(i); });
  for (int i = 0; i < kRounds && !HasFatalFailure(); ++i) OpenAndClose(random);
  stop_ = true;
  for (std::thread& user : users) user.join();
  EXPECT_EQ(wrong_, 0) << strerrorname_np(static_cast<int>(wrong_));
  // A call that came late may have begun the device's thread again, which then goes on until the
  // device is closed the next time.
  is_used_ = false;
  OpenAndClose(random);
  EXPECT_EQ(tests::Difference(before, tests::PictureOf(host_)), "");
}

}  // namespace
