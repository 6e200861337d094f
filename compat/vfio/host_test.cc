// Groups and containers: what may be done in which order, and what is said otherwise.
#include "compat/vfio/host.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_group.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/soft/test_host.h"
#include "ioas/base/robust_mutex.h"

namespace compat::vfio {
namespace {

using soft::TestHost;
using soft::TestMemory;

class HostTest : public testing::Test {
 protected:
  void SetUp() override {
    container_ = host_.OpenContainer();
    group_ = host_.OpenGroup(TestHost::kGroup);
    ASSERT_GE(container_, 0);
    ASSERT_GE(group_, 0);
  }

  long Raw(int fd, uint32_t number, uint64_t argument = 0) {
    return host_.Ioctl(fd, abi::VfioRequest(number), argument);
  }
  long SetIommu(uint32_t type) { return host_.Ioctl(container_, abi::kSetIommu, uint64_t{type}); }
  long SetContainer(int group, int container) {
    return host_.Ioctl(group, abi::kGroupSetContainer, &container);
  }
  long Extension(uint32_t extension) {
    return host_.Ioctl(container_, abi::kCheckExtension, uint64_t{extension});
  }
  // The flags of GROUP_GET_STATUS, or a negated errno.
  long Status(int group) {
    abi::GroupStatus status = {.argsz = sizeof(status), .flags = 0xffff};
    const long result = host_.Ioctl(group, abi::kGroupGetStatus, &status);
    return result < 0 ? result : static_cast<long>(status.flags);
  }
  long GetInfo() {
    abi::Type1Info info = {};
    info.argsz = sizeof(info);
    return host_.Ioctl(container_, abi::kIommuGetInfo, &info);
  }
  int OpenDevice(const std::string& name) { return host_.OpenDevice(group_, name.c_str()); }
  void PutIntoType1v2() {
    ASSERT_EQ(SetContainer(group_, container_), 0);
    ASSERT_EQ(SetIommu(abi::kType1v2Iommu), 0);
  }

  TestHost host_;
  int container_ = -1;
  int group_ = -1;
};

TEST_F(HostTest, AnotherVersionsHostIsRefused) {
  host_.host().state().layout += 1;
  soft::SoftPlatform platform;
  const auto other = Host::Open(host_.host().arena_fd(), settings::Settings(),
                                {.personality = host_.host().parts().personality,
                                 .descriptors = host_.host().parts().descriptors,
                                 .platform = &platform});
  EXPECT_EQ(other.error().code, EPROTO);
}

TEST_F(HostTest, ExtensionsAreTheKernelsBeforeAnIommuIsSetAndAfter) {
  const auto expect_type1 = [this](long update_vaddr) {
    EXPECT_EQ(Extension(abi::kType1Iommu), 1);
    EXPECT_EQ(Extension(abi::kType1v2Iommu), 1);
    EXPECT_EQ(Extension(abi::kUnmapAll), 1);
    for (const uint32_t absent :
         {abi::kSpaprTceIommu, abi::kDmaCcIommu, abi::kEeh, abi::kType1NestingIommu,
          abi::kSpaprTceV2Iommu, abi::kNoIommuIommu, uint32_t{99}}) {
      EXPECT_EQ(Extension(absent), 0) << absent;
    }
    EXPECT_EQ(Extension(abi::kUpdateVaddr), update_vaddr);
  };
  EXPECT_EQ(host_.Ioctl(container_, abi::kGetApiVersion, uint64_t{0}), 0);
  expect_type1(0);
  PutIntoType1v2();
  expect_type1(1);
}

TEST_F(HostTest, IommuNeedsAGroupInTheContainerAndIsChosenOnce) {
  EXPECT_EQ(SetIommu(abi::kType1v2Iommu), -EINVAL);
  ASSERT_EQ(SetContainer(group_, container_), 0);
  EXPECT_EQ(GetInfo(), -EINVAL);
  for (const uint32_t absent : {99u, abi::kSpaprTceIommu, abi::kSpaprTceV2Iommu}) {
    EXPECT_EQ(SetIommu(absent), -ENODEV) << absent;
  }
  // An extension that is there, and no type.
  EXPECT_EQ(SetIommu(abi::kUnmapAll), -EINVAL);
  EXPECT_EQ(SetIommu(abi::kType1v2Iommu), 0);
  EXPECT_EQ(SetIommu(abi::kType1v2Iommu), -EINVAL);
  EXPECT_EQ(SetIommu(abi::kType1Iommu), -EINVAL);
  EXPECT_EQ(GetInfo(), 0);
}

TEST_F(HostTest, GroupStatusTellsWhetherTheGroupHasAContainer) {
  EXPECT_EQ(Status(group_), abi::kGroupFlagsViable);
  ASSERT_EQ(SetContainer(group_, container_), 0);
  EXPECT_EQ(Status(group_), abi::kGroupFlagsViable | abi::kGroupFlagsContainerSet);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  EXPECT_EQ(Status(group_), abi::kGroupFlagsViable);
  abi::GroupStatus small = {.argsz = sizeof(small) - 1, .flags = 0};
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupGetStatus, &small), -EINVAL);
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupGetStatus, uint64_t{0}), -EFAULT);
}

TEST_F(HostTest, GroupCanBeOpenedOnlyOnce) {
  EXPECT_EQ(host_.OpenGroup(TestHost::kGroup), -EBUSY);
  const int copy = host_.Duplicate(group_);
  host_.Close(group_);
  EXPECT_EQ(host_.OpenGroup(TestHost::kGroup), -EBUSY);
  host_.Close(copy);
  EXPECT_GE(host_.OpenGroup(TestHost::kGroup), 0);
  EXPECT_EQ(host_.OpenGroup(99), -ENOENT);
}

TEST_F(HostTest, SetContainerWantsAContainersDescriptor) {
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupSetContainer, uint64_t{0}), -EFAULT);
  EXPECT_EQ(SetContainer(group_, -1), -EBADF);
  EXPECT_EQ(SetContainer(group_, 9999), -EBADF);
  EXPECT_EQ(SetContainer(group_, STDIN_FILENO), -EBADFD);
  EXPECT_EQ(SetContainer(group_, group_), -EBADFD);
  EXPECT_EQ(Status(group_), abi::kGroupFlagsViable);
}

TEST_F(HostTest, GroupThatHasAContainerRefusesAnyOtherDescriptorThatIsOpen) {
  ASSERT_EQ(SetContainer(group_, container_), 0);
  EXPECT_EQ(SetContainer(group_, container_), -EINVAL);
  EXPECT_EQ(SetContainer(group_, host_.OpenContainer()), -EINVAL);
  EXPECT_EQ(SetContainer(group_, STDIN_FILENO), -EINVAL);
  EXPECT_EQ(SetContainer(group_, -1), -EBADF);
}

TEST_F(HostTest, ContainerIsUnsetOnlyWhenNoDeviceIsOpen) {
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), -EINVAL);
  PutIntoType1v2();
  const int first = OpenDevice(TestHost::kDevice);
  const int second = OpenDevice(TestHost::kDevice);
  ASSERT_GE(first, 0);
  ASSERT_GE(second, 0);
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), -EBUSY);
  host_.Close(first);
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), -EBUSY);
  host_.Close(second);
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  EXPECT_EQ(GetInfo(), -EINVAL);
  ASSERT_EQ(SetContainer(group_, container_), 0);
  EXPECT_EQ(GetInfo(), -EINVAL);
  EXPECT_EQ(SetIommu(abi::kType1Iommu), 0);
}

TEST_F(HostTest, DeviceIsGivenOnlyByAGroupWhoseContainerHasAnIommu) {
  EXPECT_EQ(OpenDevice(TestHost::kDevice), -EINVAL);
  EXPECT_EQ(OpenDevice("0000:ff:00.0"), -ENODEV);
  ASSERT_EQ(SetContainer(group_, container_), 0);
  EXPECT_EQ(OpenDevice(TestHost::kDevice), -EINVAL);
  ASSERT_EQ(SetIommu(abi::kType1v2Iommu), 0);
  const int device = OpenDevice(TestHost::kDevice);
  ASSERT_GE(device, 0);
  EXPECT_EQ(fcntl(device, F_GETFD), FD_CLOEXEC);
}

TEST_F(HostTest, DeviceIsNamedByItsAddressInFull) {
  PutIntoType1v2();
  for (const char* const name : {"", "0000:ff:00.0", TestHost::kOtherDevice, "00:05.0",
                                 "0000:00:05.00", "0000:00:05.0\t", " 0000:00:05.0"}) {
    EXPECT_EQ(OpenDevice(name), -ENODEV) << name;
  }
  const std::string own = TestHost::kDevice;
  EXPECT_EQ(OpenDevice(own + " nonsense"), -EINVAL);
  EXPECT_EQ(OpenDevice(own + " vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3"), -EINVAL);
  EXPECT_GE(OpenDevice(own + " "), 0);
}

TEST_F(HostTest, DeviceNameMustBeReadableAndShorterThanAPage) {
  PutIntoType1v2();
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupGetDeviceFd, uint64_t{0}), -EFAULT);
  auto* const pages = static_cast<char*>(
      mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  ASSERT_EQ(mprotect(pages + 4096, 4096, PROT_NONE), 0);
  char* const name = pages + 4096 - sizeof(TestHost::kDevice);
  std::copy_n(TestHost::kDevice, sizeof(TestHost::kDevice), name);
  EXPECT_GE(host_.OpenDevice(group_, name), 0);
  // Without its NUL it goes on where nothing can be read.
  std::copy_n(TestHost::kDevice, sizeof(TestHost::kDevice) - 1, name + 1);
  EXPECT_EQ(host_.OpenDevice(group_, name + 1), -EFAULT);
  munmap(pages, 8192);
  EXPECT_EQ(OpenDevice(std::string(4095, 'x')), -ENODEV);
  EXPECT_EQ(OpenDevice(std::string(4096, 'x')), -EINVAL);
}

TEST_F(HostTest, NumbersMeanNothingOnAContainerWithoutIommu) {
  for (const uint32_t number : {12, 13, 17, 18, 19, 20, 21, 22}) {
    EXPECT_EQ(Raw(container_, number), -EINVAL) << number;
  }
  EXPECT_EQ(Raw(group_, 12), -ENOTTY);
  EXPECT_EQ(Raw(group_, 18), -ENOTTY);
}

TEST_F(HostTest, NumbersMeanOneThingOnAContainerAndAnotherOnADevice) {
  PutIntoType1v2();
  for (const uint32_t number : {3, 4, 7, 8, 9, 10, 11, 15, 16, 18, 19, 20, 21, 22, 23}) {
    EXPECT_EQ(Raw(container_, number), -ENOTTY) << number;
  }
  for (const uint32_t number : {12, 13, 14, 17}) {
    EXPECT_EQ(Raw(container_, number), -EFAULT) << number;
  }
  const int device = OpenDevice(TestHost::kDevice);
  ASSERT_GE(device, 0);
  for (const uint32_t number : {0, 14, 15, 19, 20, 21}) {
    EXPECT_EQ(Raw(device, number), -ENOTTY) << number;
  }
  for (const uint32_t number : {7, 8, 9, 10, 12, 13, 16, 17, 18}) {
    EXPECT_EQ(Raw(device, number), -EFAULT) << number;
  }
  for (const uint32_t number : {3, 4, 6}) EXPECT_EQ(Raw(group_, number), -EFAULT) << number;
  EXPECT_EQ(Raw(group_, 5), -EBUSY);
}

TEST_F(HostTest, SpaprsCallsOnAType1ContainerMeanWhatTheirNumbersMeanThere) {
  PutIntoType1v2();
  abi::SpaprTceInfo info = {};
  info.argsz = 32;
  EXPECT_EQ(host_.Ioctl(container_, abi::kIommuSpaprTceGetInfo, &info), 0);
  EXPECT_EQ(info.dma32_window_start, 0x40201000u);  // there the page sizes are
  abi::SpaprRegisterMemory memory = {};
  memory.argsz = 24;
  memory.size = 65536;
  EXPECT_EQ(host_.Ioctl(container_, abi::kIommuSpaprRegisterMemory, &memory), -EINVAL);
  EXPECT_EQ(host_.Ioctl(container_, abi::kIommuEnable, uint64_t{0}), -ENOTTY);
}

TEST_F(HostTest, RequestsAreCutTo32Bits) {
  TestMemory memory;
  const auto version = host_.host().Ioctl(container_, host_.Slot(container_),
                                          {uint64_t{1} << 32 | abi::kGetApiVersion, 0, memory});
  ASSERT_TRUE(version.ok());
  EXPECT_EQ(*version, abi::kApiVersion);
}

TEST_F(HostTest, UnknownCallsAreCounted) {
  const FileSlot slot = host_.host().files().slot(host_.Slot(container_));
  const ContainerState& state =
      *host_.host().arena().Get(ioas::ArenaRef<ContainerState>{slot.object});
  PutIntoType1v2();
  EXPECT_EQ(state.unknown_calls, 0u);
  EXPECT_EQ(Raw(container_, 18), -ENOTTY);
  EXPECT_EQ(Raw(container_, 77), -ENOTTY);
  EXPECT_EQ(Raw(container_, 13), -EFAULT);
  EXPECT_EQ(state.unknown_calls, 2u);
  EXPECT_EQ(state.last_unknown_request, abi::VfioRequest(77));
}

// A handler that interrupts a call of its thread finds a lock held.
TEST_F(HostTest, CallsOfAThreadThatIsInsideAreRefusedAndChangeNothing) {
  PutIntoType1v2();
  const int device = OpenDevice(TestHost::kDevice);
  ASSERT_GE(device, 0);
  ioas::RobustMutex mutex;
  mutex.Initialize();
  {
    const ioas::RobustLock lock(mutex);
    uint64_t value = 0;
    EXPECT_EQ(GetInfo(), -EDEADLK);
    EXPECT_EQ(Status(group_), -EDEADLK);
    EXPECT_EQ(host_.OpenContainer(), -EDEADLK);
    EXPECT_EQ(host_.OpenGroup(TestHost::kGroup), -EDEADLK);
    EXPECT_EQ(host_.Read(device, &value, sizeof(value), 0), -EDEADLK);
    EXPECT_EQ(host_.Write(device, &value, sizeof(value), 0), -EDEADLK);
    EXPECT_EQ(host_.Map(device, 4096, 0), -EDEADLK);
  }
  EXPECT_EQ(GetInfo(), 0);
}

TEST_F(HostTest, FileThatIsClosedByAThreadThatIsInsideEndsUnnoticed) {
  ioas::RobustMutex mutex;
  mutex.Initialize();
  {
    const ioas::RobustLock lock(mutex);
    host_.Close(group_);
  }
  EXPECT_GE(host_.OpenGroup(TestHost::kGroup), 0);
}

TEST_F(HostTest, OnlyDevicesCanBeReadWrittenAndMapped) {
  uint64_t value = 0;
  for (const int fd : {container_, group_}) {
    EXPECT_EQ(host_.Read(fd, &value, sizeof(value), 0), -EINVAL);
    EXPECT_EQ(host_.Write(fd, &value, sizeof(value), 0), -EINVAL);
    EXPECT_EQ(host_.Map(fd, 4096, 0), -ENODEV);
  }
}

}  // namespace
}  // namespace compat::vfio
