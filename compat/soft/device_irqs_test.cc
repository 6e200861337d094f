// VFIO_DEVICE_SET_IRQS.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <span>
#include <vector>

#include "compat/soft/device_fixture.h"

namespace compat::soft {
namespace {

constexpr uint32_t kTriggerNone = abi::kIrqSetDataNone | abi::kIrqSetActionTrigger;
constexpr uint32_t kTriggerBool = abi::kIrqSetDataBool | abi::kIrqSetActionTrigger;
constexpr uint32_t kTriggerEventfd = abi::kIrqSetDataEventfd | abi::kIrqSetActionTrigger;
constexpr uint32_t kMaskNone = abi::kIrqSetDataNone | abi::kIrqSetActionMask;
constexpr uint32_t kUnmaskNone = abi::kIrqSetDataNone | abi::kIrqSetActionUnmask;
constexpr uint32_t kUnmaskEventfd = abi::kIrqSetDataEventfd | abi::kIrqSetActionUnmask;

constexpr uint32_t kIntx = abi::kPciIntxIrqIndex;
constexpr uint32_t kMsi = abi::kPciMsiIrqIndex;
constexpr uint32_t kMsix = abi::kPciMsixIrqIndex;
constexpr uint32_t kMsixVectors = 65;
constexpr uint64_t kMsixFlags = 0xb0 + 2;
constexpr uint16_t kMsixEnable = 1 << 15;

class Eventfd {
 public:
  Eventfd() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  Eventfd(const Eventfd&) = delete;
  Eventfd& operator=(const Eventfd&) = delete;
  ~Eventfd() { close(fd_); }
  int fd() const { return fd_; }
  // How many events there were since it was asked last.
  uint64_t Take() const {
    uint64_t events = 0;
    return read(fd_, &events, sizeof(events)) == sizeof(events) ? events : 0;
  }
  // The same, after waiting for one.
  uint64_t Await() const {
    pollfd event = {fd_, POLLIN, 0};
    poll(&event, 1, 10000);
    return Take();
  }
  void Signal() const {
    const uint64_t one = 1;
    EXPECT_EQ(write(fd_, &one, sizeof(one)), static_cast<long>(sizeof(one)));
  }

 private:
  int fd_;
};

class DeviceIrqsTest : public DeviceFixture {
 protected:
  // SET_IRQS with `data` behind the header.
  template <typename T = int32_t>
  long Set(uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
           const std::vector<T>& data = {}) {
    const auto bytes = std::as_bytes(std::span(data));
    const abi::IrqSet header = {.argsz = static_cast<uint32_t>(sizeof(header) + bytes.size()),
                                .flags = flags,
                                .index = index,
                                .start = start,
                                .count = count};
    const auto head = std::as_bytes(std::span(&header, 1));
    std::vector<std::byte> buffer(head.begin(), head.end());
    buffer.insert(buffer.end(), bytes.begin(), bytes.end());
    return host_.Ioctl(device_, abi::kDeviceSetIrqs, buffer.data());
  }
  long SetEventfds(uint32_t index, uint32_t start, const std::vector<int32_t>& fds) {
    return Set(kTriggerEventfd, index, start, static_cast<uint32_t>(fds.size()), fds);
  }
  long Fire(uint32_t index, uint32_t vector) { return Set(kTriggerNone, index, vector, 1); }
  long Disable(uint32_t index) { return Set(kTriggerNone, index, 0, 0); }

  Eventfd a_;
  Eventfd b_;
  Eventfd c_;
};

TEST_F(DeviceIrqsTest, HeaderIsCheckedBeforeAnythingIsDone) {
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceSetIrqs, uint64_t{0}), -EFAULT);
  abi::IrqSet small = {
      .argsz = sizeof(small) - 1, .flags = kTriggerNone, .index = kMsix, .start = 0, .count = 0};
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceSetIrqs, &small), -EINVAL);
  EXPECT_EQ(Set(kTriggerNone, abi::kPciNumIrqs, 0, 1), -EINVAL);
  EXPECT_EQ(Set(kTriggerNone | 1u << 6, kMsix, 0, 1), -EINVAL);
  EXPECT_EQ(Set(kTriggerNone, kMsix, 1, ~0u), -EINVAL);
  EXPECT_EQ(Set(kTriggerNone, kMsix, 1, ~0u - 1), -EINVAL);
  EXPECT_EQ(Set(kTriggerNone, kMsix, kMsixVectors, 0), -EINVAL);
  EXPECT_EQ(Set(kTriggerNone, kMsix, kMsixVectors - 1, 2), -EINVAL);
  EXPECT_EQ(Set(abi::kIrqSetActionTrigger, kMsix, 0, 1), -EINVAL);
  EXPECT_EQ(Set(kTriggerNone | abi::kIrqSetDataBool, kMsix, 0, 1), -EINVAL);
}

TEST_F(DeviceIrqsTest, DataMustFitIntoArgszAndBeReadable) {
  EXPECT_EQ(Set(kTriggerEventfd, kMsix, 0, 2, std::vector<int32_t>{a_.fd()}), -EINVAL);
  EXPECT_EQ(Set(kTriggerBool, kMsix, 0, 2, std::vector<uint8_t>{1}), -EINVAL);
  // A header at the end of a page that nothing follows.
  const long page = sysconf(_SC_PAGESIZE);
  auto* const pages = static_cast<std::byte*>(
      mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void*>(pages), MAP_FAILED);
  ASSERT_EQ(mprotect(pages + page, page, PROT_NONE), 0);
  auto* const header = reinterpret_cast<abi::IrqSet*>(pages + page - sizeof(abi::IrqSet));
  *header = {.argsz = sizeof(*header) + 4,
             .flags = kTriggerEventfd,
             .index = kMsix,
             .start = 0,
             .count = 1};
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceSetIrqs, header), -EFAULT);
  // Also where the index does not have the action.
  header->flags = abi::kIrqSetDataEventfd | abi::kIrqSetActionMask;
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceSetIrqs, header), -EFAULT);

  munmap(pages, 2 * page);
}

TEST_F(DeviceIrqsTest, ActionsThatAnIndexLacksAreRefused) {
  EXPECT_EQ(Set(abi::kIrqSetDataNone, kIntx, 0, 1), -ENOTTY);
  EXPECT_EQ(Set(kTriggerNone | abi::kIrqSetActionMask, kIntx, 0, 1), -ENOTTY);
  for (const uint32_t index : {kMsi, kMsix, abi::kPciErrIrqIndex, abi::kPciReqIrqIndex}) {
    EXPECT_EQ(Set(kMaskNone, index, 0, 1), -ENOTTY) << index;
    EXPECT_EQ(Set(kUnmaskNone, index, 0, 1), -ENOTTY) << index;
  }
}

TEST_F(DeviceIrqsTest, LoopbackFiresTheVectorsThatAreNamed) {
  for (const uint32_t index : {kMsi, kMsix}) {
    EXPECT_EQ(Fire(index, 0), -EINVAL);
    ASSERT_EQ(SetEventfds(index, 0, {a_.fd(), -1, b_.fd()}), 0);
    EXPECT_EQ(Set(kTriggerNone, index, 0, 3), 0);
    EXPECT_EQ(a_.Take(), 1u);
    EXPECT_EQ(b_.Take(), 1u);
    EXPECT_EQ(Set(kTriggerBool, index, 1, 2, std::vector<uint8_t>{1, 2}), 0);
    EXPECT_EQ(a_.Take(), 0u);
    EXPECT_EQ(b_.Take(), 1u);
    EXPECT_EQ(Set(kTriggerBool, index, 0, 3, std::vector<uint8_t>{0, 1, 0}), 0);
    EXPECT_EQ(a_.Take() + b_.Take(), 0u);
    // Vectors that are not on are passed over.
    EXPECT_EQ(Set(kTriggerNone, index, 2, 8), 0);
    EXPECT_EQ(b_.Take(), 1u);
    EXPECT_EQ(Disable(index), 0);
    EXPECT_EQ(Fire(index, 0), -EINVAL);
    EXPECT_EQ(Disable(index), -EINVAL);
  }
}

TEST_F(DeviceIrqsTest, EventfdIsKeptWhenTheProgramClosesItsDescriptor) {
  const int copy = dup(a_.fd());
  ASSERT_EQ(SetEventfds(kMsix, 0, {copy}), 0);
  close(copy);
  EXPECT_EQ(Fire(kMsix, 0), 0);
  EXPECT_EQ(a_.Take(), 1u);
}

TEST_F(DeviceIrqsTest, EventfdsAreReplacedAndTakenAway) {
  ASSERT_EQ(SetEventfds(kMsix, 0, {a_.fd(), a_.fd()}), 0);
  ASSERT_EQ(SetEventfds(kMsix, 1, {b_.fd()}), 0);
  EXPECT_EQ(Set(kTriggerNone, kMsix, 0, 2), 0);
  EXPECT_EQ(a_.Take(), 1u);
  EXPECT_EQ(b_.Take(), 1u);
  ASSERT_EQ(SetEventfds(kMsix, 0, {-1}), 0);
  EXPECT_EQ(Set(kTriggerNone, kMsix, 0, 2), 0);
  EXPECT_EQ(a_.Take(), 0u);
  EXPECT_EQ(b_.Take(), 1u);
}

TEST_F(DeviceIrqsTest, EnablingWithABadDescriptorLeavesTheInterruptOff) {
  for (const uint32_t index : {kMsi, kMsix}) {
    EXPECT_EQ(SetEventfds(index, 0, {a_.fd(), 9999}), -EBADF);
    EXPECT_EQ(SetEventfds(index, 0, {a_.fd(), STDIN_FILENO}), -EINVAL);
    EXPECT_EQ(Fire(index, 0), -EINVAL);
  }
  EXPECT_EQ(SetEventfds(kIntx, 0, {9999}), -EBADF);
  EXPECT_EQ(SetEventfds(kIntx, 0, {group_}), -EINVAL);
  EXPECT_EQ(Fire(kIntx, 0), -EINVAL);
  EXPECT_EQ(ReadConfig<uint16_t>(kMsixFlags) & kMsixEnable, 0);
  EXPECT_EQ(a_.Take(), 0u);
}

TEST_F(DeviceIrqsTest, BadDescriptorTakesTheRequestsVectorsAway) {
  ASSERT_EQ(SetEventfds(kMsix, 0, {a_.fd(), a_.fd(), a_.fd(), a_.fd()}), 0);
  EXPECT_EQ(SetEventfds(kMsix, 1, {b_.fd(), 9999, b_.fd()}), -EBADF);
  EXPECT_EQ(Set(kTriggerNone, kMsix, 0, 4), 0);
  EXPECT_EQ(b_.Take(), 0u);
  // The vectors outside of the request, and behind the one that failed, are as before.
  EXPECT_EQ(a_.Take(), 2u);
}

TEST_F(DeviceIrqsTest, MsixGrowsWhileItIsOn) {
  ASSERT_EQ(SetEventfds(kMsix, 0, {a_.fd()}), 0);
  EXPECT_NE(ReadConfig<uint16_t>(kMsixFlags) & kMsixEnable, 0);
  EXPECT_EQ(SetEventfds(kMsix, kMsixVectors - 1, {b_.fd()}), 0);
  EXPECT_EQ(Fire(kMsix, 0), 0);
  EXPECT_EQ(a_.Take(), 1u);
  EXPECT_EQ(Fire(kMsix, kMsixVectors - 1), 0);
  EXPECT_EQ(b_.Take(), 1u);
  EXPECT_EQ(Disable(kMsix), 0);
  EXPECT_EQ(ReadConfig<uint16_t>(kMsixFlags) & kMsixEnable, 0);
}

TEST_F(DeviceIrqsTest, MsiDoesNotGrowWhileItIsOn) {
  ASSERT_EQ(SetEventfds(kMsi, 0, {a_.fd(), b_.fd()}), 0);
  EXPECT_EQ(SetEventfds(kMsi, 2, {-1}), 0);
  EXPECT_EQ(SetEventfds(kMsi, 2, {c_.fd()}), -EINVAL);
  // What the failed request named is taken away, the rest stays.
  EXPECT_EQ(SetEventfds(kMsi, 1, {c_.fd(), c_.fd()}), -EINVAL);
  EXPECT_EQ(Set(kTriggerNone, kMsi, 0, 3), 0);
  EXPECT_EQ(a_.Take(), 1u);
  EXPECT_EQ(b_.Take(), 0u);
  EXPECT_EQ(c_.Take(), 0u);
  ASSERT_EQ(Disable(kMsi), 0);
  EXPECT_EQ(SetEventfds(kMsi, 0, {a_.fd(), b_.fd(), c_.fd()}), 0);
}

TEST_F(DeviceIrqsTest, VectorsCanBeEnabledWithoutEventfds) {
  EXPECT_EQ(Set(kTriggerEventfd, kMsix, 0, 0), -ERANGE);
  EXPECT_EQ(Set(kTriggerEventfd, kMsix, 3, 0), 0);
  EXPECT_NE(ReadConfig<uint16_t>(kMsixFlags) & kMsixEnable, 0);
  EXPECT_EQ(Set(kTriggerEventfd, kMsix, 8, 0), 0);
  EXPECT_EQ(Set(kTriggerNone, kMsix, 0, 3), 0);
  EXPECT_EQ(SetEventfds(kMsix, 2, {a_.fd()}), 0);
  EXPECT_EQ(Fire(kMsix, 2), 0);
  EXPECT_EQ(a_.Take(), 1u);
}

TEST_F(DeviceIrqsTest, OnlyOneKindOfInterruptIsOn) {
  const uint32_t kinds[] = {kIntx, kMsi, kMsix};
  for (const uint32_t on : kinds) {
    ASSERT_EQ(SetEventfds(on, 0, {a_.fd()}), 0);
    for (const uint32_t other : kinds) {
      if (other == on) continue;
      EXPECT_EQ(SetEventfds(other, 0, {b_.fd()}), -EINVAL);
      EXPECT_EQ(Fire(other, 0), -EINVAL);
      EXPECT_EQ(Disable(other), -EINVAL);
    }
    EXPECT_EQ(Fire(on, 0), 0);
    EXPECT_EQ(a_.Take(), 1u);
    ASSERT_EQ(Disable(on), 0);
  }
}

TEST_F(DeviceIrqsTest, IntxIsOneVectorThatCanBeMaskedWhileItIsOn) {
  EXPECT_EQ(Set(kMaskNone, kIntx, 0, 1), -EINVAL);
  EXPECT_EQ(Set(kUnmaskNone, kIntx, 0, 1), -EINVAL);
  EXPECT_EQ(Set(kTriggerEventfd, kIntx, 0, 0), -EINVAL);
  ASSERT_EQ(SetEventfds(kIntx, 0, {-1}), 0);
  EXPECT_EQ(Fire(kIntx, 0), 0);
  ASSERT_EQ(SetEventfds(kIntx, 0, {a_.fd()}), 0);
  EXPECT_EQ(Set(kTriggerBool, kIntx, 0, 1, std::vector<uint8_t>{0}), 0);
  EXPECT_EQ(a_.Take(), 0u);
  EXPECT_EQ(Set(kTriggerBool, kIntx, 0, 1, std::vector<uint8_t>{1}), 0);
  EXPECT_EQ(a_.Take(), 1u);
  // A bad one changes nothing.
  EXPECT_EQ(SetEventfds(kIntx, 0, {9999}), -EBADF);
  EXPECT_EQ(Fire(kIntx, 0), 0);
  EXPECT_EQ(a_.Take(), 1u);
  EXPECT_EQ(Set(kMaskNone, kIntx, 0, 0), -EINVAL);
  EXPECT_EQ(Set(kMaskNone, kIntx, 0, 1), 0);
  EXPECT_EQ(Set(kUnmaskNone, kIntx, 0, 1), 0);
  EXPECT_EQ(
      Set(abi::kIrqSetDataBool | abi::kIrqSetActionMask, kIntx, 0, 1, std::vector<uint8_t>{0}), 0);
  EXPECT_EQ(Set(abi::kIrqSetDataEventfd | abi::kIrqSetActionMask, kIntx, 0, 1,
                std::vector<int32_t>{a_.fd()}),
            -ENOTTY);
}

TEST_F(DeviceIrqsTest, IntxIsSilentWhileTheCommandRegisterDisablesIt) {
  ASSERT_EQ(SetEventfds(kIntx, 0, {a_.fd()}), 0);
  const auto command = ReadConfig<uint16_t>(4);
  WriteConfig<uint16_t>(4, command | 1 << 10);
  EXPECT_EQ(Fire(kIntx, 0), 0);
  EXPECT_EQ(a_.Take(), 0u);
  WriteConfig<uint16_t>(4, command);
  EXPECT_EQ(Fire(kIntx, 0), 0);
  EXPECT_EQ(a_.Take(), 1u);
}

TEST_F(DeviceIrqsTest, UnmaskEventfdIsCheckedReplacedAndTakenAway) {
  ASSERT_EQ(SetEventfds(kIntx, 0, {a_.fd()}), 0);
  const auto set = [this](int fd) {
    return Set(kUnmaskEventfd, kIntx, 0, 1, std::vector<int32_t>{fd});
  };
  EXPECT_EQ(set(9999), -EBADF);
  EXPECT_EQ(set(STDIN_FILENO), -EINVAL);
  EXPECT_EQ(set(b_.fd()), 0);
  EXPECT_EQ(set(c_.fd()), 0);
  EXPECT_EQ(set(-1), 0);
  EXPECT_EQ(set(-1), 0);
}

TEST_F(DeviceIrqsTest, ErrorAndRequestHaveOneVectorEach) {
  for (const uint32_t index : {abi::kPciErrIrqIndex, abi::kPciReqIrqIndex}) {
    EXPECT_EQ(Fire(index, 0), -EINVAL);
    EXPECT_EQ(Disable(index), -EINVAL);
    EXPECT_EQ(Set(kTriggerEventfd, index, 0, 0), -EINVAL);
    EXPECT_EQ(Set(kTriggerBool, index, 0, 0), -EINVAL);
    EXPECT_EQ(SetEventfds(index, 0, {-2}), -EINVAL);
    EXPECT_EQ(SetEventfds(index, 0, {-1}), 0);
    EXPECT_EQ(SetEventfds(index, 0, {9999}), -EBADF);
    EXPECT_EQ(SetEventfds(index, 0, {STDIN_FILENO}), -EINVAL);
    EXPECT_EQ(Set(kTriggerBool, index, 0, 1, std::vector<uint8_t>{1}), 0);
    ASSERT_EQ(SetEventfds(index, 0, {a_.fd()}), 0);
    // A bad one changes nothing.
    EXPECT_EQ(SetEventfds(index, 0, {9999}), -EBADF);
    EXPECT_EQ(Fire(index, 0), 0);
    EXPECT_EQ(Set(kTriggerBool, index, 0, 1, std::vector<uint8_t>{1}), 0);
    EXPECT_EQ(Set(kTriggerBool, index, 0, 1, std::vector<uint8_t>{0}), 0);
    EXPECT_EQ(a_.Take(), 2u);
    EXPECT_EQ(Disable(index), 0);
    EXPECT_EQ(Fire(index, 0), -EINVAL);
  }
  // They go with any of the others.
  ASSERT_EQ(SetEventfds(kMsix, 0, {a_.fd()}), 0);
  ASSERT_EQ(SetEventfds(abi::kPciErrIrqIndex, 0, {b_.fd()}), 0);
  ASSERT_EQ(SetEventfds(abi::kPciReqIrqIndex, 0, {c_.fd()}), 0);
}

TEST_F(DeviceIrqsTest, InterruptsOutliveResetAndEndWithTheDevicesFile) {
  ASSERT_EQ(SetEventfds(kMsix, 0, {a_.fd()}), 0);
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceReset, uint64_t{0}), 0);
  EXPECT_EQ(Fire(kMsix, 0), 0);
  EXPECT_EQ(a_.Take(), 1u);
  host_.Close(device_);
  device_ = host_.OpenDevice(group_, TestHost::kDevice);
  EXPECT_EQ(Fire(kMsix, 0), -EINVAL);
  EXPECT_EQ(SetEventfds(kIntx, 0, {a_.fd()}), 0);
}

}  // namespace
}  // namespace compat::soft
