// A drive at work: registers and doorbells through a mapped BAR, DMA through MAP_DMA's memory,
// interrupts on eventfds, in the process that opened it and in others.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

#include "compat/abi/vfio_container.h"
#include "compat/soft/device_fixture.h"

namespace compat::soft {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kCommand = 0x04;
constexpr uint16_t kMemoryAndBusMaster = 6;
// The driver's memory: submission queue, completion queue, data.
constexpr uint64_t kIova = 0x100000;
constexpr uint64_t kData = kIova + 2 * kPage;
// Registers of an NVMe controller (NVM Express base specification 1.4, 3.1).
constexpr uint32_t kCc = 0x14;
constexpr uint32_t kCsts = 0x1c;
constexpr uint32_t kAqa = 0x24;
constexpr uint32_t kAsq = 0x28;
constexpr uint32_t kAcq = 0x30;
constexpr uint32_t kTailDoorbell = 0x1000;
constexpr uint32_t kHeadDoorbell = 0x1004;
constexpr uint32_t kEnable = 1 | 6 << 16 | 4 << 20;
constexpr uint32_t kEntries = 16;
constexpr uint16_t kDataTransferError = 0x4004;

struct Submission {
  uint8_t opcode;
  uint8_t flags;
  uint16_t id;
  uint32_t namespace_id;
  uint64_t reserved[2];
  uint64_t prp[2];
  uint32_t dwords[6];
};
struct Completion {
  uint32_t result;
  uint32_t reserved;
  uint16_t head;
  uint16_t queue;
  uint16_t id;
  uint16_t status;
};

class DeviceDmaTest : public DeviceFixture {
 protected:
  void SetUp() override {
    DeviceFixture::SetUp();
    memory_ = static_cast<std::byte*>(
        mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(static_cast<void*>(memory_), MAP_FAILED);
    WriteConfig<uint16_t>(kCommand, kMemoryAndBusMaster);
    bar_ = host_.Map(device_, kMappable, 0);
    ASSERT_GT(bar_, 0);
    MapMemory();
  }
  void TearDown() override {
    host_.Unmap(device_, bar_, kMappable);
    munmap(memory_, 3 * kPage);
  }

  void MapMemory() {
    for (uint64_t page = 0; page < 3; ++page) {
      abi::DmaMap map = {.argsz = sizeof(map),
                         .flags = abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite,
                         .vaddr = reinterpret_cast<uint64_t>(memory_) + page * kPage,
                         .iova = kIova + page * kPage,
                         .size = kPage};
      ASSERT_EQ(host_.Ioctl(container_, abi::kIommuMapDma, &map), 0);
    }
  }
  void UnmapData() {
    abi::DmaUnmap unmap = {.argsz = sizeof(unmap), .flags = 0, .iova = kData, .size = kPage};
    ASSERT_EQ(host_.Ioctl(container_, abi::kIommuUnmapDma, &unmap), 0);
    ASSERT_EQ(unmap.size, kPage);
  }

  std::atomic_ref<uint32_t> Register(uint32_t offset) const {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(bar_ + offset));
  }
  // Waits until `condition` holds; false if it never does.
  template <typename Condition>
  static bool Await(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  // Enables the controller by stores to the mapped registers.
  void Enable() {
    Register(kAqa) = (kEntries - 1) << 16 | (kEntries - 1);
    Register(kAsq) = kIova;
    Register(kAsq + 4) = 0;
    Register(kAcq) = kIova + kPage;
    Register(kAcq + 4) = 0;
    Register(kCc) = kEnable;
    ASSERT_TRUE(Await([this] { return (Register(kCsts) & 1) != 0; }));
  }
  // Submits Identify Controller to kData. Returns its status, or -1 if it never completes.
  int Identify() {
    Submission command = {};
    command.opcode = 6;
    command.id = 77;
    command.prp[0] = kData;
    command.dwords[0] = 1;
    std::memcpy(memory_ + tail_ * sizeof(command), &command, sizeof(command));
    auto* const completion = reinterpret_cast<Completion*>(memory_ + kPage) + tail_;
    tail_ = (tail_ + 1) % kEntries;
    Register(kTailDoorbell) = tail_;
    const std::atomic_ref<uint16_t> status(completion->status);
    if (!Await([&] { return (status & 1) == phase_; })) return -1;
    EXPECT_EQ(completion->id, 77);
    if (tail_ == 0) phase_ ^= 1;
    return status >> 1;
  }
  // Tells the controller that all completions were seen.
  void Acknowledge() { Register(kHeadDoorbell) = tail_; }
  std::string_view Model() const {
    return {reinterpret_cast<const char*>(memory_ + 2 * kPage + 24), 40};
  }

  long SetEventfd(uint32_t index, uint32_t action, int fd) {
    const struct {
      abi::IrqSet header;
      int32_t fd;
    } request = {{.argsz = sizeof(request),
                  .flags = abi::kIrqSetDataEventfd | action,
                  .index = index,
                  .start = 0,
                  .count = 1},
                 fd};
    return host_.Ioctl(device_, abi::kDeviceSetIrqs, &request);
  }
  static uint64_t Take(int eventfd, int milliseconds) {
    pollfd event = {eventfd, POLLIN, 0};
    uint64_t events = 0;
    if (poll(&event, 1, milliseconds) != 1) return 0;
    return read(eventfd, &events, sizeof(events)) == sizeof(events) ? events : 0;
  }
  ioas::AddressSpaceStatistics Statistics() {
    const vfio::FileSlot slot = host_.host().files().slot(host_.Slot(container_));
    const auto* container =
        host_.host().arena().Get(ioas::ArenaRef<vfio::ContainerState>{slot.object});
    ioas::Arena arena = host_.host().arena();
    ioas::AddressSpace space(arena, container->space);
    ioas::AddressSpace::Lock lock(space);
    return space.statistics();
  }

  static constexpr int kLong = 20000;
  static constexpr int kShort = 50;
  std::byte* memory_ = nullptr;
  long bar_ = 0;
  uint32_t tail_ = 0;
  uint32_t phase_ = 1;
};

TEST_F(DeviceDmaTest, CommandsGoThroughMappedDoorbellsAndMappedMemory) {
  Enable();
  ASSERT_EQ(Identify(), 0);
  EXPECT_FALSE(Model().starts_with('\0'));
  EXPECT_GE(Statistics().dma_written, kPage);
  EXPECT_EQ(Statistics().faults, 0u);
  // More than the queue has entries.
  for (uint32_t i = 0; i < 2 * kEntries; ++i) {
    Acknowledge();
    ASSERT_EQ(Identify(), 0) << i;
  }
}

TEST_F(DeviceDmaTest, MemoryThatIsUnmappedFaultsAndIsNotTouched) {
  Enable();
  UnmapData();
  EXPECT_EQ(Identify(), kDataTransferError);
  EXPECT_TRUE(Model().starts_with('\0'));
  EXPECT_EQ(Statistics().faults, 1u);
}

TEST_F(DeviceDmaTest, NothingIsReachedWithoutBusMastering) {
  Enable();
  WriteConfig<uint16_t>(kCommand, 2);
  Register(kTailDoorbell) = 1;
  std::this_thread::sleep_for(std::chrono::milliseconds(kShort));
  EXPECT_TRUE(std::all_of(memory_ + kPage, memory_ + 3 * kPage,
                          [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST_F(DeviceDmaTest, CompletionFiresItsMsixVector) {
  const int event = eventfd(0, EFD_CLOEXEC);
  ASSERT_EQ(SetEventfd(abi::kPciMsixIrqIndex, abi::kIrqSetActionTrigger, event), 0);
  Enable();
  ASSERT_EQ(Identify(), 0);
  EXPECT_EQ(Take(event, kLong), 1u);
  Acknowledge();
  EXPECT_EQ(Take(event, kShort), 0u);
  close(event);
}

TEST_F(DeviceDmaTest, IntxThatWaitedIsDeliveredWhenItIsEnabled) {
  const int event = eventfd(0, EFD_CLOEXEC);
  Enable();
  ASSERT_EQ(Identify(), 0);
  ASSERT_EQ(SetEventfd(abi::kPciIntxIrqIndex, abi::kIrqSetActionTrigger, event), 0);
  EXPECT_GE(Take(event, kLong), 1u);
  close(event);
}

TEST_F(DeviceDmaTest, IntxIsMaskedOnDeliveryAndComesAgainWhileItsLevelLasts) {
  const int event = eventfd(0, EFD_CLOEXEC);
  const int unmask = eventfd(0, EFD_CLOEXEC);
  ASSERT_EQ(SetEventfd(abi::kPciIntxIrqIndex, abi::kIrqSetActionTrigger, event), 0);
  ASSERT_EQ(SetEventfd(abi::kPciIntxIrqIndex, abi::kIrqSetActionUnmask, unmask), 0);
  Enable();
  ASSERT_EQ(Identify(), 0);
  EXPECT_EQ(Take(event, kLong), 1u);
  EXPECT_EQ(Take(event, kShort), 0u);
  const uint64_t one = 1;
  ASSERT_EQ(write(unmask, &one, sizeof(one)), static_cast<long>(sizeof(one)));
  EXPECT_EQ(Take(event, kLong), 1u);
  Acknowledge();
  ASSERT_TRUE(Await([this] { return (ReadConfig<uint16_t>(6) & 1 << 3) == 0; }));
  ASSERT_EQ(write(unmask, &one, sizeof(one)), static_cast<long>(sizeof(one)));
  EXPECT_EQ(Take(event, kShort), 0u);
  close(event);
  close(unmask);
}

TEST_F(DeviceDmaTest, ContainerThatEndsLeavesTheDeviceWithoutMemory) {
  Enable();
  const int copy = host_.Duplicate(device_);
  ASSERT_EQ(Identify(), 0);
  EXPECT_EQ(host_.Ioctl(container_, abi::kIommuGetInfo, uint64_t{0}), -EFAULT);
  abi::DmaUnmap unmap = {
      .argsz = sizeof(unmap), .flags = abi::kDmaUnmapFlagAll, .iova = 0, .size = 0};
  ASSERT_EQ(host_.Ioctl(container_, abi::kIommuUnmapDma, &unmap), 0);
  EXPECT_EQ(unmap.size, 3 * kPage);
  host_.Close(copy);
  Register(kTailDoorbell) = (tail_ + 1) % kEntries;
  EXPECT_TRUE(Await([this] { return Statistics().faults != 0; }));
}

TEST_F(DeviceDmaTest, InheritedDeviceGoesOnInAChildThatUsesIt) {
  const pid_t child = host_.Fork();
  if (child == 0) {
    // The parent's memory is shared, but mappings are of a process: these are the child's.
    abi::DmaUnmap unmap = {
        .argsz = sizeof(unmap), .flags = abi::kDmaUnmapFlagAll, .iova = 0, .size = 0};
    if (host_.Ioctl(container_, abi::kIommuUnmapDma, &unmap) != 0) _exit(2);
    // No thread of the parent's carries the device on any more.
    host_.platform().device(0)->Stop();
    MapMemory();
    ReadBar<uint32_t>(kCsts);
    Enable();
    _exit(Identify() == 0 ? 0 : 1);
  }
  host_.platform().device(0)->Stop();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace compat::soft
