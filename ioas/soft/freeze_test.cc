#include "ioas/soft/freeze.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "gtest/gtest.h"
#include "ioas/soft/soft_device.h"
#include "ioas/soft/test_host.h"

namespace ioas::soft {
namespace {

constexpr uint32_t kOnes = ~uint32_t{0};

class FreezeTest : public TestHost {
 protected:
  void SetUp() override {
    TestHost::SetUp();
    ASSERT_TRUE(Map(0, memory_, kEchoPage, kAccessRead).ok());
    ASSERT_TRUE(Map(kEchoPage, memory_ + kEchoPage, kEchoPage, kAccessWrite).ok());
    MapRegisters();
    registers_->source = 0;
    registers_->destination = kEchoPage;
  }

  GroupErrors& errors() { return host_->errors_of(*arena_.Get(device_state_)); }
  // What a platform does after it has changed the errors.
  void Change(uint32_t bits) {
    errors().bits = bits;
    FollowErrorsOfGroup(arena_, *host_, 0);
    device_->Resume();
  }
  uint32_t ReadBar(uint64_t offset) {
    uint32_t value = 0;
    EXPECT_TRUE(device_->ReadBar(0, offset, std::as_writable_bytes(std::span(&value, 1))).ok());
    return value;
  }
  Status WriteBar(uint64_t offset, uint32_t value) {
    return device_->WriteBar(0, offset, std::as_bytes(std::span(&value, 1)));
  }
  uint16_t ReadConfig(uint32_t offset) {
    uint16_t value = 0;
    device_->ReadConfig(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  std::vector<FaultRecord> Faults() {
    std::vector<FaultRecord> faults(kFaultRecords);
    faults.resize(host_->faults().Copy(faults));
    return faults;
  }
  static bool WaitForOnes(const std::atomic<uint32_t>& word) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (word != kOnes) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      sched_yield();
    }
    return true;
  }
};

TEST_F(FreezeTest, FrozenRegistersAndConfigurationSpaceReadAsOnes) {
  registers_->failures = 77;
  Change(kIoFrozen);
  EXPECT_EQ(registers_->failures, kOnes);
  EXPECT_EQ(registers_->doorbell, kOnes);
  EXPECT_EQ(ReadBar(20), kOnes);
  EXPECT_EQ(ReadBar(0x3000), kOnes);
  EXPECT_EQ(ReadConfig(0), 0xffff);
  EXPECT_EQ(ReadConfig(0x100), 0xffff);
}

TEST_F(FreezeTest, RegistersAreBackAsTheyWereAfterwards) {
  registers_->failures = 77;
  Change(kIoFrozen);
  // A second time, as when DMA is frozen as well.
  Change(kFrozen);
  Change(0);
  EXPECT_EQ(registers_->failures, 77u);
  EXPECT_EQ(registers_->destination, kEchoPage);
  EXPECT_EQ(ReadConfig(0), 0x1234);
}

TEST_F(FreezeTest, WritesToFrozenDevicesAreLost) {
  Change(kIoFrozen);
  EXPECT_TRUE(WriteBar(0x1000, 5).ok());
  SetCommand(0);
  registers_->doorbell = 6;
  Change(0);
  EXPECT_EQ(registers_->doorbell, 0u);
  EXPECT_EQ(registers_->completed, 0u);
  EXPECT_EQ(ReadConfig(4), 0x6);
}

TEST_F(FreezeTest, TheDevicesThreadPutsOnesBackWhereAProgramStores) {
  ASSERT_TRUE(device_->Start().ok());
  Change(kIoFrozen);
  for (uint32_t i = 1; i <= 20; ++i) {
    registers_->doorbell = i;
    EXPECT_TRUE(WaitForOnes(registers_->doorbell));
  }
  Change(0);
  EXPECT_EQ(registers_->completed, 0u);
  registers_->doorbell = 1;
  EXPECT_TRUE(WaitFor(registers_, 1));
}

TEST_F(FreezeTest, ADoorbellFromBeforeIsServedAfterwards) {
  registers_->doorbell = 3;  // with no thread nobody sees it yet
  Change(kFrozen);
  Change(0);
  EXPECT_EQ(registers_->completed, 3u);
  EXPECT_EQ(registers_->failures, 0u);
}

TEST_F(FreezeTest, FrozenDmaIsAFaultOfItsOwn) {
  Change(kDmaFrozen);
  ASSERT_TRUE(WriteBar(0x1000, 1).ok());
  EXPECT_EQ(registers_->completed, 1u);
  EXPECT_EQ(registers_->failures, 1u);
  ASSERT_EQ(Faults().size(), 1u);
  EXPECT_EQ(Faults()[0].reason, FaultReason::kFrozen);
  EXPECT_STREQ(Describe(FaultReason::kFrozen), "an error has frozen the device's group");
  Change(0);
  ASSERT_TRUE(WriteBar(0x1000, 2).ok());
  EXPECT_EQ(registers_->failures, 1u);
}

TEST_F(FreezeTest, AFaultFreezesTheGroupOnlyWhereThatIsAskedFor) {
  UnmapAll();
  ASSERT_TRUE(WriteBar(0x1000, 1).ok());
  EXPECT_EQ(registers_->failures, 1u);
  EXPECT_FALSE(errors().has(kFrozen));
  Change(kFreezesOnFault);
  ASSERT_TRUE(WriteBar(0x1000, 2).ok());
  EXPECT_EQ(errors().bits, kFreezesOnFault | kFrozen);
  EXPECT_EQ(errors().freezes, 1u);
  EXPECT_EQ(registers_->failures, kOnes);
  Change(kFreezesOnFault);
  EXPECT_EQ(registers_->failures, 2u);
}

TEST_F(FreezeTest, ADeviceThatMayNotUseTheBusFreezesNothing) {
  Change(kFreezesOnFault);
  SetCommand(2);
  ASSERT_TRUE(WriteBar(0x1000, 1).ok());
  EXPECT_EQ(registers_->failures, 1u);
  EXPECT_FALSE(errors().has(kFrozen));
}

TEST_F(FreezeTest, TheWholeGroupFreezesWithADevice) {
  const auto other =
      CreateDevice(arena_, *host_, {{0, 0, 6, 0}, 7, ModelKind::kTest, 64, kEchoRegisterBytes});
  const auto stranger =
      CreateDevice(arena_, *host_, {{0, 0, 7, 0}, 8, ModelKind::kTest, 64, kEchoRegisterBytes});
  ASSERT_TRUE(other.ok() && stranger.ok());
  const auto first_word = [&](ArenaRef<SoftDeviceState> device) {
    return *arena_.Get(ArenaRef<uint32_t>{arena_.Get(device)->registers_unit});
  };
  UnmapAll();
  errors().bits = kFreezesOnFault;
  ASSERT_TRUE(WriteBar(0x1000, 1).ok());
  EXPECT_EQ(first_word(*other), kOnes);
  EXPECT_EQ(first_word(*stranger), 0u);
}

TEST_F(FreezeTest, AResetWorksBehindTheOnes) {
  registers_->doorbell = 9;
  Change(kFrozen);
  device_->ResetFunction();
  EXPECT_EQ(registers_->doorbell, kOnes);
  Change(0);
  EXPECT_EQ(registers_->doorbell, 0u);
  EXPECT_EQ(registers_->destination, kEchoPage);
}

TEST_F(FreezeTest, AnAssertedResetBlocksConfigurationSpaceAlone) {
  Change(kInReset);
  EXPECT_EQ(ReadConfig(0), 0xffff);
  SetCommand(0);
  EXPECT_EQ(ReadBar(0x1000), 0u);
  Change(0);
  EXPECT_EQ(ReadConfig(4), 0x6);
}

// Runs with the device's thread busy: freezing and thawing at any moment leaves a device that
// works.
TEST_F(FreezeTest, ADeviceIsFrozenInTheMiddleOfItsWork) {
  ASSERT_TRUE(device_->Start().ok());
  uint32_t doorbell = 0;
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 5; ++k) registers_->doorbell = ++doorbell;
    Change(kFrozen);
    EXPECT_EQ(registers_->failures, kOnes);
    Change(0);
    registers_->doorbell = ++doorbell;
    ASSERT_TRUE(WaitFor(registers_, doorbell));
  }
}

TEST_F(FreezeTest, AHeldDeviceStandsStillAndThenDoesWhatItHasToDo) {
  ASSERT_TRUE(device_->Start().ok());
  Change(kGroupHeld);
  registers_->doorbell = 1;
  device_->Resume();
  // Registers and configuration space are there.
  EXPECT_EQ(registers_->doorbell, 1u);
  EXPECT_EQ(ReadConfig(0), 0x1234);
  EXPECT_EQ(registers_->completed, 0u);
  Change(0);
  ASSERT_TRUE(WaitFor(registers_, 1));
  EXPECT_EQ(registers_->failures, 0u);
  EXPECT_TRUE(Faults().empty());
}

TEST_F(FreezeTest, CallsReachTheRegistersOfAHeldDevice) {
  Change(kGroupHeld);
  registers_->failures = 5;
  EXPECT_EQ(ReadBar(offsetof(EchoRegisters, failures)), 5u);
  ASSERT_TRUE(WriteBar(0x1000, 1).ok());
  EXPECT_EQ(ReadBar(0x1000), 1u);
  EXPECT_EQ(registers_->completed, 0u);
  Change(0);
  device_->Resume();
  EXPECT_EQ(registers_->completed, 1u);
}

// What is under way is done, and no command fails because its device is held.
TEST_F(FreezeTest, ADeviceIsHeldInTheMiddleOfItsWork) {
  ASSERT_TRUE(device_->Start().ok());
  uint32_t doorbell = 0;
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 5; ++k) registers_->doorbell = ++doorbell;
    Change(kContainerHeld);
    const uint32_t done = registers_->completed;
    registers_->doorbell = ++doorbell;
    device_->Resume();
    EXPECT_EQ(registers_->completed, done);
    Change(0);
    ASSERT_TRUE(WaitFor(registers_, doorbell));
  }
  EXPECT_EQ(registers_->failures, 0u);
}

TEST_F(FreezeTest, AForkedChildFindsTheDeviceFrozenAndCanThawIt) {
  ASSERT_TRUE(device_->Start().ok());
  registers_->failures = 5;
  Change(kFrozen);
  const pid_t child = fork();
  if (child == 0) {
    SoftDevice::AfterForkInChild();
    const bool was_frozen = registers_->failures == kOnes && ReadConfig(0) == 0xffff;
    Change(0);
    _exit(was_frozen && registers_->failures == 5u ? 0 : 1);
  }
  SoftDevice::AfterForkInParent();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(registers_->failures, 5u);
  EXPECT_EQ(ReadConfig(0), 0x1234);
}

}  // namespace
}  // namespace ioas::soft
