// How containers, groups and devices end, in every order and with processes that die.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"
#include "compat/vfio/regions.h"

namespace compat::vfio {
namespace {

using soft::TestHost;
using soft::TestMemory;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kConfig = RegionOffset(abi::kPciConfigRegionIndex);
constexpr uint64_t kInterruptLine = kConfig + 0x3c;

class LifetimeTest : public testing::Test {
 protected:
  void SetUp() override {
    container_ = host_.ContainerOfType(abi::kType1v2Iommu, group_);
    memory_ = mmap(nullptr, 16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory_, MAP_FAILED);
  }
  void TearDown() override { munmap(memory_, 16 * kPage); }

  long Map(int container, uint64_t iova, uint64_t size = kPage) {
    abi::DmaMap map = {.argsz = sizeof(map),
                       .flags = abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite,
                       .vaddr = reinterpret_cast<uint64_t>(memory_),
                       .iova = iova,
                       .size = size};
    return host_.Ioctl(container, abi::kIommuMapDma, &map);
  }
  // The bytes that were unmapped, or a negated errno.
  long Unmap(int container, uint64_t iova, uint64_t size = kPage) {
    abi::DmaUnmap unmap = {.argsz = sizeof(unmap), .flags = 0, .iova = iova, .size = size};
    const long result = host_.Ioctl(container, abi::kIommuUnmapDma, &unmap);
    return result < 0 ? result : static_cast<long>(unmap.size);
  }
  long DeviceInfo(int device) {
    abi::DeviceInfo info = {};
    info.argsz = sizeof(info);
    return host_.Ioctl(device, abi::kDeviceGetInfo, &info);
  }
  long SetContainer(int group, int container) {
    return host_.Ioctl(group, abi::kGroupSetContainer, &container);
  }
  long UnsetContainer(int group) {
    return host_.Ioctl(group, abi::kGroupUnsetContainer, uint64_t{0});
  }
  long SetIommu(int container, uint32_t type) {
    return host_.Ioctl(container, abi::kSetIommu, uint64_t{type});
  }

  // Runs `body` in a forked child; returns whether it said true.
  bool InChild(const std::function<bool()>& body) {
    const pid_t child = host_.Fork();
    if (child == 0) _exit(body() ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  // Forks a child that runs `body`, says so and then only holds what it has.
  pid_t ForkHolder(const std::function<void()>& body = [] {}) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t child = host_.Fork();
    if (child == 0) {
      body();
      if (write(ready[1], "", 1) != 1) _exit(1);
      while (true) pause();
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
  }
  static void Kill(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }

  uint32_t Records() { return host_.host().state().records_made; }

  TestHost host_;
  int container_ = -1;
  int group_ = -1;
  void* memory_ = nullptr;
};

TEST_F(LifetimeTest, EverythingCanBeClosedInAnyOrder) {
  constexpr size_t kContainer = 0;
  std::vector<size_t> order = {kContainer, 1, 2, 3};
  do {
    const int device = host_.OpenDevice(group_, TestHost::kDevice);
    const int second = host_.OpenDevice(group_, TestHost::kDevice);
    ASSERT_GE(device, 0);
    ASSERT_GE(second, 0);
    ASSERT_EQ(Map(container_, 0), 0);
    const int files[] = {container_, group_, device, second};
    int holders = 3;
    for (const size_t file : order) {
      ASSERT_TRUE(holders == 0 || host_.OpenGroup(TestHost::kGroup) == -EBUSY);
      host_.Close(files[file]);
      if (file != kContainer) --holders;
    }
    container_ = host_.ContainerOfType(abi::kType1v2Iommu, group_);
    EXPECT_EQ(Unmap(container_, 0), 0);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(LifetimeTest, DeviceFileHoldsItsGroupOpenAndInItsContainer) {
  const int device = host_.OpenDevice(group_, TestHost::kDevice);
  ASSERT_EQ(Map(container_, 0), 0);
  host_.Close(group_);
  EXPECT_EQ(host_.OpenGroup(TestHost::kGroup), -EBUSY);
  EXPECT_EQ(DeviceInfo(device), 0);
  EXPECT_EQ(Unmap(container_, 0), static_cast<long>(kPage));
  host_.Close(device);
  EXPECT_EQ(Map(container_, 0), -EINVAL);
  EXPECT_GE(host_.OpenGroup(TestHost::kGroup), 0);
}

TEST_F(LifetimeTest, ContainerOutlivesItsDescriptorWithTheGroup) {
  const int copy = host_.Duplicate(container_);
  ASSERT_EQ(Map(container_, 0), 0);
  host_.Close(container_);
  EXPECT_EQ(Map(copy, kPage), 0);
  host_.Close(copy);
  EXPECT_EQ(Records(), 0u);
  EXPECT_GE(host_.OpenDevice(group_, TestHost::kDevice), 0);
}

TEST_F(LifetimeTest, ContainerWithoutDescriptorEndsWithItsLastGroup) {
  host_.Close(container_);
  ASSERT_EQ(UnsetContainer(group_), 0);
  EXPECT_EQ(Records(), 1u);
  EXPECT_EQ(host_.OpenDevice(group_, TestHost::kDevice), -EINVAL);
}

TEST_F(LifetimeTest, MappingOutlivesTheMemoryThatIsUnmapped) {
  void* const memory =
      mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  abi::DmaMap map = {.argsz = sizeof(map),
                     .flags = abi::kDmaMapFlagRead,
                     .vaddr = reinterpret_cast<uint64_t>(memory),
                     .iova = 0,
                     .size = kPage};
  ASSERT_EQ(host_.Ioctl(container_, abi::kIommuMapDma, &map), 0);
  munmap(memory, kPage);
  EXPECT_EQ(Unmap(container_, 0), static_cast<long>(kPage));
}

TEST_F(LifetimeTest, MemoryOfAnEndedContainerIsUsedAgainAndComesBackEmpty) {
  const auto container_of = [this](int fd) {
    return host_.host().files().slot(host_.Slot(fd)).object;
  };
  const uint32_t object = container_of(container_);
  ASSERT_EQ(Map(container_, 0, 4 * kPage), 0);
  host_.Close(container_);
  // It is still the group's, so another container gets other memory.
  const int second = host_.OpenContainer();
  EXPECT_NE(container_of(second), object);
  host_.Close(group_);
  container_ = host_.ContainerOfType(abi::kType1Iommu, group_);
  EXPECT_EQ(container_of(container_), object);
  EXPECT_EQ(Unmap(container_, 0, 4 * kPage), 0);
  EXPECT_EQ(Map(container_, 0), 0);
}

TEST_F(LifetimeTest, CallOnAClosedFileMeetsNobodyElsesContainer) {
  const uint32_t slot = host_.Slot(container_);
  host_.Close(container_);
  host_.Close(group_);
  // Takes the slot, so that the next container has another one.
  const int other_group = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_GE(other_group, 0);
  container_ = host_.ContainerOfType(abi::kType1v2Iommu, group_);
  TestMemory memory;
  for (const uint32_t request : {abi::kIommuGetInfo, abi::kSetIommu}) {
    EXPECT_FALSE(host_.host().Ioctl(container_, slot, {request, 0, memory}).ok());
  }
}

TEST_F(LifetimeTest, SeveralGroupsShareAContainersMappings) {
  const int other = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(SetContainer(other, container_), 0);
  ASSERT_GE(host_.OpenDevice(other, TestHost::kOtherDevice), 0);
  ASSERT_GE(host_.OpenDevice(other, TestHost::kFarDevice), 0);
  EXPECT_EQ(host_.OpenDevice(other, TestHost::kDevice), -ENODEV);
  ASSERT_EQ(Map(container_, 0), 0);
  EXPECT_EQ(UnsetContainer(other), -EBUSY);
  ASSERT_EQ(UnsetContainer(group_), 0);
  EXPECT_EQ(Records(), 0u);
  EXPECT_EQ(Unmap(container_, 0), static_cast<long>(kPage));
}

TEST_F(LifetimeTest, ContainerLosesItsIommuWithItsLastGroup) {
  const int other = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(SetContainer(other, container_), 0);
  ASSERT_EQ(Map(container_, 0), 0);
  host_.Close(group_);
  EXPECT_EQ(Map(container_, kPage), 0);
  host_.Close(other);
  EXPECT_EQ(Map(container_, 2 * kPage), -EINVAL);
  EXPECT_EQ(SetIommu(container_, abi::kType1v2Iommu), -EINVAL);
}

TEST_F(LifetimeTest, RecordSaysWhatTheContainerDidUntilItEnded) {
  ASSERT_EQ(Map(container_, 0), 0);
  ASSERT_EQ(Map(container_, kPage), 0);
  ASSERT_EQ(Unmap(container_, 0), static_cast<long>(kPage));
  EXPECT_EQ(host_.Ioctl(container_, abi::VfioRequest(77), uint64_t{0}), -ENOTTY);
  host_.Close(group_);
  ASSERT_EQ(Records(), 1u);
  const ContainerRecord& record = host_.host().state().records[0];
  EXPECT_EQ(record.number, 1u);
  EXPECT_EQ(record.opener, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(record.type, decode::ContainerType::kType1v2);
  EXPECT_EQ(record.unknown_calls, 1u);
  EXPECT_EQ(record.last_unknown_request, abi::VfioRequest(77));
  EXPECT_EQ(record.live_mappings, 1u);
  EXPECT_EQ(record.statistics.maps, 2u);
  EXPECT_EQ(record.statistics.unmaps, 1u);
}

TEST_F(LifetimeTest, RecordsOfTheContainersThatEndedLastAreKept) {
  for (uint32_t i = 0; i < kMaxContainerRecords + 3; ++i) {
    ASSERT_EQ(UnsetContainer(group_), 0);
    ASSERT_EQ(SetContainer(group_, container_), 0);
    ASSERT_EQ(SetIommu(container_, abi::kType1v2Iommu), 0);
    if (i == kMaxContainerRecords) {
      ASSERT_EQ(host_.Ioctl(container_, abi::VfioRequest(77), uint64_t{0}), -ENOTTY);
    }
  }
  EXPECT_EQ(Records(), kMaxContainerRecords + 3);
  EXPECT_EQ(host_.host().state().records[0].unknown_calls, 0u);
  EXPECT_EQ(host_.host().state().records[1].unknown_calls, 1u);
  EXPECT_EQ(host_.host().state().records[3].number, 1u);
}

TEST_F(LifetimeTest, ChildUsesItsParentsContainer) {
  ASSERT_EQ(Map(container_, 0), 0);
  EXPECT_TRUE(InChild([this] {
    const int device = host_.OpenDevice(group_, TestHost::kDevice);
    return Map(container_, 16 * kPage) == 0 && Unmap(container_, 0) == static_cast<long>(kPage) &&
           DeviceInfo(device) == 0;
  }));
  EXPECT_EQ(Unmap(container_, 0), 0);
  EXPECT_EQ(Unmap(container_, 16 * kPage), static_cast<long>(kPage));
  EXPECT_EQ(Map(container_, 0), 0);
}

TEST_F(LifetimeTest, ChildHoldsWhatItsParentHasClosed) {
  const pid_t child = ForkHolder();
  host_.Close(group_);
  host_.Close(container_);
  EXPECT_EQ(host_.OpenGroup(TestHost::kGroup), -EBUSY);
  EXPECT_EQ(Records(), 0u);
  Kill(child);
  EXPECT_GE(host_.OpenGroup(TestHost::kGroup), 0);
  EXPECT_EQ(Records(), 1u);
}

TEST_F(LifetimeTest, DeviceOfAKilledProcessHoldsItsGroupNoLonger) {
  const pid_t child = ForkHolder([this] { host_.OpenDevice(group_, TestHost::kDevice); });
  EXPECT_EQ(UnsetContainer(group_), -EBUSY);
  Kill(child);
  EXPECT_EQ(UnsetContainer(group_), 0);
}

TEST_F(LifetimeTest, NextOpenerAfterAKilledProcessFindsTheDeviceAsNew) {
  const pid_t child = ForkHolder([this] {
    const int device = host_.OpenDevice(group_, TestHost::kDevice);
    const uint8_t line = 0x5a;
    host_.Write(device, &line, sizeof(line), kInterruptLine);
  });
  Kill(child);
  const int device = host_.OpenDevice(group_, TestHost::kDevice);
  uint8_t line = 0xff;
  ASSERT_EQ(host_.Read(device, &line, sizeof(line), kInterruptLine), 1);
  EXPECT_EQ(line, 0);
}

// Each looks for lost files, and finds that its own is one.
TEST_F(LifetimeTest, ACallOnAGroupThatIsClosedMeanwhileIsRefused) {
  for (const bool unset : {false, true}) {
    host_.Lose(host_.OpenDevice(group_, TestHost::kDevice));
    host_.Lose(group_);
    EXPECT_EQ(unset ? UnsetContainer(group_) : host_.OpenDevice(group_, TestHost::kDevice), -EBADF);
    EXPECT_EQ(SetContainer(group_, container_), -EBADF);
    EXPECT_EQ(Records(), unset ? 2u : 1u);
    host_.Close(container_);
    container_ = host_.ContainerOfType(abi::kType1v2Iommu, group_);
  }
}

TEST_F(LifetimeTest, DeviceIsAsNewForItsFirstOpenerOnly) {
  const int device = host_.OpenDevice(group_, TestHost::kDevice);
  uint8_t line = 0x5a;
  ASSERT_EQ(host_.Write(device, &line, sizeof(line), kInterruptLine), 1);
  const int second = host_.OpenDevice(group_, TestHost::kDevice);
  ASSERT_EQ(host_.Read(second, &line, sizeof(line), kInterruptLine), 1);
  EXPECT_EQ(line, 0x5a);
  host_.Close(device);
  host_.Close(second);
  const int third = host_.OpenDevice(group_, TestHost::kDevice);
  ASSERT_EQ(host_.Read(third, &line, sizeof(line), kInterruptLine), 1);
  EXPECT_EQ(line, 0);
}

}  // namespace
}  // namespace compat::vfio
