#include "ioas/soft/soft_device.h"

#include <sys/eventfd.h>
#include <sys/wait.h>

#include <cstring>
#include <ctime>
#include <fstream>
#include <thread>

#include "gtest/gtest.h"
#include "ioas/soft/test_host.h"

namespace ioas::soft {
namespace {

class SoftDeviceTest : public TestHost {
 protected:
  // Maps memory and registers, and starts the device's thread.
  void Run() {
    ASSERT_TRUE(Map(0, memory_, kEchoPage, kAccessRead).ok());
    ASSERT_TRUE(Map(kEchoPage, memory_ + kEchoPage, kEchoPage, kAccessWrite).ok());
    ASSERT_TRUE(device_->Start().ok());
    MapRegisters();
    registers_->source = 0;
    registers_->destination = kEchoPage;
  }
};

void Sleep(int milliseconds) {
  const timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  nanosleep(&time, nullptr);
}

// CPU time of this process's other threads and its own, in seconds.
double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

TEST_F(SoftDeviceTest, ADoorbellInAMappedPageIsServed) {
  Run();
  for (uint32_t i = 1; i <= 300; ++i) {
    std::memset(memory_, static_cast<int>(i), kEchoMessageSize);
    registers_->doorbell = i;
    ASSERT_TRUE(WaitFor(registers_, i)) << i;
    EXPECT_EQ(std::memcmp(memory_, memory_ + kEchoPage, kEchoMessageSize), 0);
  }
  EXPECT_EQ(registers_->failures, 0u);
}

TEST_F(SoftDeviceTest, ADoorbellWakesASleepingDevice) {
  Run();
  for (uint32_t i = 1; i <= 20; ++i) {
    Sleep(2);
    registers_->doorbell = i;
    ASSERT_TRUE(WaitFor(registers_, i)) << i;
  }
}

TEST_F(SoftDeviceTest, AnIdleDeviceUsesNoCpu) {
  Run();
  registers_->doorbell = 1;
  ASSERT_TRUE(WaitFor(registers_, 1));
  Sleep(10);
  const double before = CpuSeconds();
  Sleep(200);
  EXPECT_LT(CpuSeconds() - before, 0.2 * 0.05);
}

TEST_F(SoftDeviceTest, ADoorbellByWriteBarIsServedWithAndWithoutAThread) {
  Run();
  uint32_t value = 1;
  ASSERT_TRUE(device_->WriteBar(0, 0x1000, std::as_bytes(std::span(&value, 1))).ok());
  EXPECT_TRUE(WaitFor(registers_, 1));
  Sleep(2);
  value = 2;
  ASSERT_TRUE(device_->WriteBar(0, 0x1000, std::as_bytes(std::span(&value, 1))).ok());
  EXPECT_TRUE(WaitFor(registers_, 2));
  device_->Stop();
  value = 3;
  ASSERT_TRUE(device_->WriteBar(0, 0x1000, std::as_bytes(std::span(&value, 1))).ok());
  EXPECT_EQ(registers_->completed, 3u);
}

TEST_F(SoftDeviceTest, StoppingAndStartingAgainKeepsMappingsWatched) {
  Run();
  for (uint32_t i = 1; i <= 5; ++i) {
    device_->Stop();
    registers_->doorbell = i;
    ASSERT_TRUE(device_->Start().ok());
    ASSERT_TRUE(WaitFor(registers_, i));
  }
}

TEST_F(SoftDeviceTest, AnInterruptArrivesAtTheVectorsEventfd) {
  Run();
  const int event = eventfd(0, EFD_CLOEXEC);
  ASSERT_TRUE(device_->EnableIrq(Irq::kMsix, 3).ok());
  ASSERT_TRUE(device_->SetTrigger(Irq::kMsix, 2, event).ok());
  registers_->doorbell = 1;
  ASSERT_TRUE(WaitFor(registers_, 1));
  EXPECT_EQ(TakeEvents(event, 20), 0u);
  registers_->doorbell = 2;
  EXPECT_EQ(TakeEvents(event, 5000), 1u);
  ASSERT_TRUE(device_->EnableIrq(Irq::kMsix, 0).ok());
  close(event);
}

TEST_F(SoftDeviceTest, AnUnmaskEventMakesALevelThatStaysInterruptAgain) {
  Run();
  const int event = eventfd(0, EFD_CLOEXEC);
  const int unmask = eventfd(0, EFD_CLOEXEC);
  ASSERT_TRUE(device_->EnableIrq(Irq::kIntx, 1).ok());
  ASSERT_TRUE(device_->SetTrigger(Irq::kIntx, 0, event).ok());
  ASSERT_TRUE(device_->SetUnmaskTrigger(unmask).ok());
  registers_->doorbell = 1;
  EXPECT_EQ(TakeEvents(event, 5000), 1u);
  EXPECT_EQ(TakeEvents(event, 20), 0u);
  const uint64_t one = 1;
  ASSERT_EQ(write(unmask, &one, sizeof(one)), 8);
  EXPECT_EQ(TakeEvents(event, 5000), 1u);
  // The level goes away, so the next unmask only arms it.
  const uint32_t zero = 0;
  ASSERT_TRUE(device_->WriteBar(0, 0x1004, std::as_bytes(std::span(&zero, 1))).ok());
  ASSERT_EQ(write(unmask, &one, sizeof(one)), 8);
  EXPECT_EQ(TakeEvents(event, 20), 0u);
  registers_->doorbell = 2;
  EXPECT_EQ(TakeEvents(event, 5000), 1u);
  close(event);
  close(unmask);
}

TEST_F(SoftDeviceTest, TheMsixTableReadsAsOnesAndTakesNoWrites) {
  uint32_t words[6] = {1, 1, 1, 1, 1, 1};
  ASSERT_TRUE(device_->WriteBar(0, 0x2000, std::as_bytes(std::span(words))).ok());
  ASSERT_TRUE(device_->ReadBar(0, 0x1ff8, std::as_writable_bytes(std::span(words))).ok());
  EXPECT_EQ(words[1], 0u);
  EXPECT_EQ(words[2], ~0u);
  EXPECT_EQ(words[5], ~0u);
  ASSERT_TRUE(device_->ReadBar(0, 0x3000, std::as_writable_bytes(std::span(words))).ok());
  EXPECT_EQ(words[0], 0u);
}

TEST_F(SoftDeviceTest, BarsAnswerOnlyWhileMemoryDecodingIsOn) {
  uint32_t word = 0;
  SetCommand(0x4);
  EXPECT_EQ(device_->ReadBar(0, 0, std::as_writable_bytes(std::span(&word, 1))).error().code, EIO);
  EXPECT_EQ(device_->WriteBar(0, 0, std::as_bytes(std::span(&word, 1))).error().code, EIO);
  SetCommand(0x6);
  EXPECT_TRUE(device_->ReadBar(0, 0, std::as_writable_bytes(std::span(&word, 1))).ok());
}

TEST_F(SoftDeviceTest, DmaWithoutBusMasteringOrAttachmentFaults) {
  Run();
  SetCommand(0x2);
  registers_->doorbell = 1;
  ASSERT_TRUE(WaitFor(registers_, 1));
  EXPECT_EQ(registers_->failures, 1u);
  SetCommand(0x6);
  device_->Block();
  registers_->doorbell = 2;
  ASSERT_TRUE(WaitFor(registers_, 2));
  EXPECT_EQ(registers_->failures, 2u);
  FaultRecord records[4];
  ASSERT_EQ(host_->faults().Copy(records), 2u);
  EXPECT_EQ(records[0].reason, FaultReason::kBusMasterOff);
  EXPECT_EQ(records[1].reason, FaultReason::kBlocked);
}

TEST_F(SoftDeviceTest, NoDmaLandsAfterItsMappingIsGone) {
  Run();
  std::memset(memory_, 0x55, kEchoMessageSize);
  std::atomic<bool> stop{false};
  std::thread ringer([&] {
    for (uint32_t i = 1; !stop; ++i) registers_->doorbell = i;
  });
  for (int round = 0; round < 1000; ++round) {
    UnmapAll();
    std::memset(memory_ + kEchoPage, 0, kEchoMessageSize);
    for (int look = 0; look < 20; ++look) {
      ASSERT_EQ(memory_[kEchoPage], std::byte{0});
      ASSERT_EQ(memory_[kEchoPage + kEchoMessageSize - 1], std::byte{0});
    }
    ASSERT_TRUE(Map(0, memory_, kEchoPage, kAccessRead).ok());
    ASSERT_TRUE(Map(kEchoPage, memory_ + kEchoPage, kEchoPage, kAccessWrite).ok());
  }
  stop = true;
  ringer.join();
}

TEST_F(SoftDeviceTest, AForkedChildsDoorbellIsServed) {
  Run();
  registers_->doorbell = 1;
  ASSERT_TRUE(WaitFor(registers_, 1));
  Sleep(2);
  const pid_t child = fork();
  if (child == 0) {
    SoftDevice::AfterForkInChild();
    registers_->doorbell = 2;
    _exit(WaitFor(registers_, 2) ? 0 : 1);
  }
  SoftDevice::AfterForkInParent();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(SoftDeviceTest, AForkedChildCarriesTheDeviceOnWithItsOwnThread) {
  Run();
  const int event = eventfd(0, EFD_CLOEXEC);
  ASSERT_TRUE(device_->EnableIrq(Irq::kMsix, 8).ok());
  ASSERT_TRUE(device_->SetTrigger(Irq::kMsix, 2, event).ok());
  device_->Stop();
  const pid_t child = fork();
  if (child == 0) {
    SoftDevice::AfterForkInChild();
    if (!device_->Start().ok()) _exit(2);
    Sleep(5);
    registers_->doorbell = 2;
    const bool served = WaitFor(registers_, 2);
    device_->Stop();
    _exit(served && registers_->failures == 0 ? 0 : 1);
  }
  SoftDevice::AfterForkInParent();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(TakeEvents(event, 0), 1u);
  close(event);
}

TEST_F(SoftDeviceTest, ManyThreadsUseADeviceThatIsBusy) {
  Run();
  std::atomic<bool> stop{false};
  std::thread ringer([&] {
    for (uint32_t i = 1; !stop; ++i) registers_->doorbell = i;
  });
  std::thread mapper([&] {
    while (!stop) {
      void* copy = mmap(nullptr, kEchoPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                        static_cast<off_t>(device_->MappableFileOffset(0)));
      device_->OnMap(copy, kEchoPage);
      static_cast<EchoRegisters*>(copy)->source = 0;
      device_->OnUnmap(copy, kEchoPage);
      munmap(copy, kEchoPage);
    }
  });
  for (int i = 0; i < 3000; ++i) {
    uint32_t word;
    device_->ReadConfig(0, std::as_writable_bytes(std::span(&word, 1)));
    ASSERT_EQ(word, 0x56781234u);
    device_->MaskIntx();
    device_->Attach({space_, {}});
  }
  stop = true;
  ringer.join();
  mapper.join();
}

// As a program does that lets devices reach each other's BARs.
TEST_F(SoftDeviceTest, RegistersCanBeMappedForDmaWhileTheyAreWatched) {
  Run();
  constexpr uint64_t kIova = 0x100000;
  SoftBackend iommu = backend();
  AddressSpace space(arena_, space_, &iommu);
  for (uint32_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(Map(kIova, registers_, kEchoRegisterBytes, kAccessRead | kAccessWrite).ok());
    registers_->destination = kIova + 0x800;
    registers_->doorbell = i;
    if (i % 2 == 0) {
      ASSERT_TRUE(WaitFor(registers_, i));
    }
    AddressSpace::Lock lock(space);
    ASSERT_TRUE(space.Unmap(*space.mappings().FindContaining(kIova)).ok());
  }
}

TEST_F(SoftDeviceTest, OneProcessHasOneHoldOnADevice) {
  const auto again = SoftDevice::Open(arena_, device_state_, &EchoModel::Make);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, device_);
  (*again)->Close();
  EXPECT_EQ(device_->identity().vendor_id, 0x1234);
}

}  // namespace
}  // namespace ioas::soft
