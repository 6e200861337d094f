// The controller's registers, its queues' mechanics and its interrupts.
#include "ioas/soft/nvme/controller.h"

#include <gtest/gtest.h>

#include <cstring>

#include "ioas/soft/nvme/test_support.h"

namespace ioas::soft::nvme {
namespace {

constexpr uint32_t kNormalShutdown = 1 << 14;

class ControllerTest : public NvmeFixture {
 protected:
  uint32_t ReadBar32(uint32_t offset) {
    uint32_t value = 0;
    controller_->ReadBar(0, offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void WriteBar(uint32_t offset, T value) {
    controller_->WriteBar(0, offset, std::as_bytes(std::span(&value, 1)));
  }
  static SubmissionEntry Flush(uint16_t command_id) {
    SubmissionEntry command = Io(IoOpcode::kFlush, 0, 1);
    command.command_id = command_id;
    return command;
  }
};

TEST_F(ControllerTest, CapabilitiesSayWhatTheControllerDoes) {
  const uint64_t cap = registers().Load64(kRegisterCap);
  EXPECT_EQ(cap & 0xffff, kMaximumQueueEntries - 1);
  EXPECT_EQ(cap >> 16 & 1, 1U);        // contiguous queues required
  EXPECT_EQ(cap >> 32 & 0xf, 0U);      // doorbell stride
  EXPECT_EQ(cap >> 37 & 0xff, 1U);     // NVM command set
  EXPECT_EQ(cap >> 48 & 0xff, 0x40U);  // pages from 4 KiB to 64 KiB
  EXPECT_EQ(registers().Load(kRegisterVs), 0x10400U);
  EXPECT_EQ(registers().Load(kRegisterCsts), 0U);
}

TEST_F(ControllerTest, FunctionFitsItsBar) {
  const BarLayout& bar = controller_->bars()[0];
  const DeviceIdentity& identity = controller_->identity();
  EXPECT_EQ(bar.size, 0x4000U);
  EXPECT_TRUE(bar.is_64bit);
  EXPECT_EQ(bar.mappable.size, identity.msix_table_offset);
  EXPECT_EQ(identity.class_code, 0x010802U);
  EXPECT_EQ(identity.msix_vectors, 65);
}

TEST_F(ControllerTest, EnablingAndDisablingFollowsCc) {
  Enable();
  registers().Store(kRegisterCc, kIoConfiguration);
  Run();
  EXPECT_EQ(registers().Load(kRegisterCsts), 0U);
  EXPECT_EQ(registers().Load(kRegisterAqa), (kAdminEntries - 1) << 16 | (kAdminEntries - 1));
  Enable();
}

TEST_F(ControllerTest, ConfigurationThatCannotBeRunIsFatalUntilDisabled) {
  const uint32_t bad[] = {
      1 << 4,   // another command set
      5 << 7,   // pages of 128 KiB
      1 << 11,  // weighted arbitration
  };
  for (const uint32_t cc : bad) {
    registers().Store(kRegisterAqa, 0x000f000f);
    registers().Store(kRegisterCc, kCcEnable | cc);
    Run();
    EXPECT_EQ(registers().Load(kRegisterCsts), kCstsFatal);
    registers().Store(kRegisterCc, 0);
    Run();
    EXPECT_EQ(registers().Load(kRegisterCsts), 0U);
  }
}

TEST_F(ControllerTest, AdminQueuesTooSmallOrMisalignedAreFatal) {
  registers().Store(kRegisterCc, kCcEnable);  // AQA 0: one entry each
  Run();
  EXPECT_EQ(registers().Load(kRegisterCsts), kCstsFatal);
  registers().Store(kRegisterCc, 0);
  Run();
  registers().Store(kRegisterAqa, 0x000f000f);
  registers().Store(kRegisterAsq, 0x100800);
  registers().Store(kRegisterCc, kCcEnable);
  Run();
  EXPECT_EQ(registers().Load(kRegisterCsts), kCstsFatal);
}

TEST_F(ControllerTest, ShutdownCompletesAndStopsTheQueues) {
  EnableWithQueues();
  registers().Store(kRegisterCc, kCcEnable | kIoConfiguration | kNormalShutdown);
  Run();
  EXPECT_EQ(registers().Load(kRegisterCsts), kCstsReady | kCstsShutdownComplete);
  Reply reply;
  Put(1, Flush(1));
  Ring(1);
  Run();
  EXPECT_FALSE(Take(1, &reply));
  registers().Store(kRegisterCc, 0);
  Run();
  EXPECT_EQ(registers().Load(kRegisterCsts), 0U);
  Enable();
}

TEST_F(ControllerTest, ScribbledRegistersArePutRight) {
  Enable();
  for (const uint32_t offset : {0x00U, 0x04U, 0x08U, 0x18U, 0x1cU, 0x20U, 0x38U, 0x40U}) {
    const uint32_t before = registers().Load(offset);
    registers().Store(offset, 0xdeadbeef);
    controller_->Poll();
    EXPECT_EQ(registers().Load(offset), before) << offset;
  }
}

TEST_F(ControllerTest, ResetForgetsAllButTheLifetime) {
  EnableWithQueues();
  Do(1, Io(IoOpcode::kRead, 0, 8));
  controller_->Reset();
  EXPECT_EQ(registers().Load(kRegisterCc), 0U);
  EXPECT_EQ(registers().Load(kRegisterCsts), 0U);
  EXPECT_EQ(registers().Load(kRegisterAsq), 0U);
  EXPECT_EQ(registers().Load(TailDoorbell(1)), 0U);
  EXPECT_FALSE(controller_->Poll());
  EXPECT_EQ(state_.lifetime.host_reads, 1U);
}

TEST_F(ControllerTest, ResetTakesTheImagesSize) {
  image_.Resize(1000);
  controller_->Reset();
  EXPECT_EQ(state_.block_count, 1U);  // what fills no block is not used
  MakeController(4096);
  EXPECT_EQ(state_.block_count, 0U);
}

TEST_F(ControllerTest, BarIsReadAndWrittenInAnyPieces) {
  WriteBar<uint64_t>(kRegisterAsq, 0x1122334455667000);
  EXPECT_EQ(registers().Load64(kRegisterAsq), 0x1122334455667000U);
  WriteBar<uint8_t>(kRegisterAsq + 7, 0xaa);
  EXPECT_EQ(registers().Load64(kRegisterAsq), 0xaa22334455667000U);
  std::byte bytes[kRegisterPagesSize * 2];
  controller_->ReadBar(0, 1, std::span(bytes).first(11));
  EXPECT_EQ(bytes[7], std::byte{0x00});
  EXPECT_EQ(bytes[8], std::byte{0x04});  // VS, its second byte
  controller_->ReadBar(0, 0, bytes);
  EXPECT_EQ(bytes[kRegisterPagesSize], std::byte{0});
  std::memset(bytes, 0xff, sizeof(bytes));
  controller_->WriteBar(0, 3, std::span(bytes).first(5));
  controller_->WriteBar(0, kRegisterPagesSize - 2, std::span(bytes).first(64));
  controller_->WriteBar(2, 0, std::span(bytes).first(64));
  controller_->ReadBar(2, 0, std::span(bytes).first(64));
  EXPECT_EQ(bytes[0], std::byte{0});
  EXPECT_EQ(registers().Load64(kRegisterCap), kCapabilities);
}

TEST_F(ControllerTest, DriverMayUseReadAndWriteInsteadOfMapping) {
  WriteBar<uint32_t>(kRegisterAqa, 0x000f000f);
  WriteBar<uint64_t>(kRegisterAsq, SubmissionBase(0));
  WriteBar<uint64_t>(kRegisterAcq, CompletionBase(0));
  WriteBar<uint32_t>(kRegisterCc, kCcEnable | kIoConfiguration);
  EXPECT_EQ(ReadBar32(kRegisterCsts), kCstsReady);
  driver_[0] = {.entries = 16, .completion_entries = 16};
  Put(0, Admin(AdminOpcode::kIdentify, 1));
  WriteBar<uint32_t>(TailDoorbell(0), 1);
  Run();
  Reply reply;
  EXPECT_TRUE(Take(0, &reply));
}

TEST_F(ControllerTest, EnableAfterDisableIsNotHiddenByBeingQuick) {
  EnableWithQueues();
  WriteBar<uint32_t>(kRegisterCc, 0);
  WriteBar<uint32_t>(kRegisterCc, kCcEnable | kIoConfiguration);
  EXPECT_EQ(state_.session.submission_queue_bits, 0U);
}

TEST_F(ControllerTest, QueuesWrapAround) {
  EnableWithQueues(5);
  for (uint16_t i = 0; i < 23; ++i) {
    const Reply reply = Do(1, Flush(i));
    EXPECT_EQ(reply.status, CommandStatus::kSuccess);
    EXPECT_EQ(reply.submission_head, (i + 1) % 5);
  }
}

TEST_F(ControllerTest, BatchWrapsAroundTheCompletionQueue) {
  EnableWithQueues(16);
  uint16_t next = 0;
  for (int round = 0; round < 9; ++round) {
    const auto first = next;
    for (int i = 0; i < 11; ++i) Put(1, Flush(next++));
    Ring(1);
    Run();
    for (uint16_t id = first; id != next; ++id) {
      Reply reply;
      ASSERT_TRUE(Take(1, &reply));
      EXPECT_EQ(reply.command_id, id);
    }
    Acknowledge(1);
  }
}

TEST_F(ControllerTest, FullCompletionQueueHoldsCommandsBack) {
  EnableWithQueues(8);
  ASSERT_EQ(StatusOf(0, Admin(AdminOpcode::kDeleteSubmissionQueue, 1)), CommandStatus::kSuccess);
  // A submission queue of 64 entries on the completion queue of 8.
  ASSERT_EQ(StatusOf(0, Admin(AdminOpcode::kCreateSubmissionQueue, 63 << 16 | 1, 1 << 16 | 1,
                              SubmissionBase(1))),
            CommandStatus::kSuccess);
  driver_[1].entries = 64;
  driver_[1].tail = 0;
  for (uint16_t i = 0; i < 20; ++i) Put(1, Flush(i));
  Ring(1);
  uint16_t taken = 0;
  for (const int expected : {7, 7, 6}) {
    Run();
    Reply reply;
    int count = 0;
    for (; Take(1, &reply); ++count) EXPECT_EQ(reply.command_id, taken++);
    EXPECT_EQ(count, expected);
    EXPECT_FALSE(controller_->Poll());
    Acknowledge(1);
  }
}

TEST_F(ControllerTest, EveryQueuePairWorks) {
  Enable();
  for (uint32_t id = 1; id <= kMaximumIoQueues; ++id) {
    // Smaller than MakeQueues lays them out, to fit the memory there is.
    ASSERT_EQ(StatusOf(0, Admin(AdminOpcode::kCreateCompletionQueue, 7 << 16 | id, id << 16 | 3,
                                kData + 0x10000 + id * 0x2000)),
              CommandStatus::kSuccess);
    ASSERT_EQ(StatusOf(0, Admin(AdminOpcode::kCreateSubmissionQueue, 7 << 16 | id, id << 16 | 1,
                                kData + 0x11000 + id * 0x2000)),
              CommandStatus::kSuccess);
    memory_.As<SubmissionEntry>(kData + 0x11000 + id * 0x2000) = Flush(static_cast<uint16_t>(id));
  }
  for (uint32_t id = 1; id <= kMaximumIoQueues; ++id) registers().Store(TailDoorbell(id), 1);
  Run();
  for (uint32_t id = 1; id <= kMaximumIoQueues; ++id) {
    EXPECT_EQ(memory_.As<CompletionEntry>(kData + 0x10000 + id * 0x2000).command_id, id);
    EXPECT_EQ(interrupts_.signalled[id], 1);
  }
}

TEST_F(ControllerTest, LongWorkIsDividedFairly) {
  EnableWithQueues();
  MakeQueues(2, 64);
  for (uint16_t i = 0; i < 8; ++i) {
    for (const uint32_t id : {1U, 2U}) Put(id, LongIo(IoOpcode::kRead, 0, 2048));
  }
  Ring(1);
  Ring(2);
  controller_->Poll();
  controller_->Poll();
  EXPECT_EQ(state_.session.submission_queues[1].head, 1U);
  EXPECT_EQ(state_.session.submission_queues[2].head, 1U);
}

TEST_F(ControllerTest, InvalidDoorbellValueIsIgnored) {
  EnableWithQueues(8);
  registers().Store(TailDoorbell(1), 8);
  registers().Store(HeadDoorbell(1), 3);  // nothing was posted
  Run();
  EXPECT_EQ(state_.session.submission_queues[1].tail, 0U);
  EXPECT_EQ(state_.session.completion_queues[1].head, 0U);
  EXPECT_NE(state_.session.events.pending, 0U);
  registers().Store(HeadDoorbell(1), 0);
  EXPECT_EQ(Do(1, Flush(1)).status, CommandStatus::kSuccess);
}

TEST_F(ControllerTest, CommandsThatCannotBeFetchedAreFatal) {
  EnableWithQueues();
  memory_.Unmap(SubmissionBase(1), SubmissionBase(1) + 4095);
  Put(1, Flush(1));
  Ring(1);
  Run();
  EXPECT_EQ(registers().Load(kRegisterCsts), kCstsReady | kCstsFatal);
  EXPECT_EQ(memory_.faults, 1U);
  memory_.MapAll();
  registers().Store(kRegisterCc, 0);
  Run();
  EnableWithQueues();
}

TEST_F(ControllerTest, CompletionsThatCannotBePostedAreFatal) {
  EnableWithQueues();
  memory_.Unmap(CompletionBase(1), CompletionBase(1) + 4095);
  Put(1, Flush(1));
  Ring(1);
  Run();
  EXPECT_EQ(registers().Load(kRegisterCsts), kCstsReady | kCstsFatal);
}

TEST_F(ControllerTest, BatchSignalsOnce) {
  EnableWithQueues();
  for (uint16_t i = 0; i < 20; ++i) Put(1, Flush(i));
  interrupts_.signalled = {};
  Ring(1);
  controller_->Poll();
  EXPECT_EQ(interrupts_.signalled[1], 1);
}

TEST_F(ControllerTest, PinFollowsWhatWasNotTaken) {
  interrupts_.messages = false;
  EnableWithQueues();
  Reply reply;
  Put(1, Flush(1));
  Ring(1);
  Run();
  EXPECT_TRUE(interrupts_.pin);
  registers().Store(kRegisterIntms, 1 << 1);
  Run();
  EXPECT_FALSE(interrupts_.pin);
  EXPECT_EQ(ReadBar32(kRegisterIntms), 2U);
  EXPECT_EQ(ReadBar32(kRegisterIntmc), 2U);
  registers().Store(kRegisterIntmc, 1 << 1);
  Run();
  EXPECT_TRUE(interrupts_.pin);
  EXPECT_TRUE(Take(1, &reply));
  Acknowledge(1);
  Run();
  EXPECT_FALSE(interrupts_.pin);
}

TEST_F(ControllerTest, MaskedMessageIsSentWhenUnmasked) {
  EnableWithQueues();
  WriteBar<uint32_t>(kRegisterIntms, 1 << 1);
  interrupts_.signalled = {};
  Put(1, Flush(1));
  Ring(1);
  Run();
  EXPECT_EQ(interrupts_.signalled[1], 0);
  WriteBar<uint32_t>(kRegisterIntmc, 1 << 1);
  Run();
  EXPECT_EQ(interrupts_.signalled[1], 1);
}

TEST_F(ControllerTest, AnotherProcessCarriesOn) {
  EnableWithQueues();
  memory_.Fill(kData, 4096, 3);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 0, 8)), CommandStatus::kSuccess);
  controller_ = MakeView();
  std::memset(memory_.At(kData), 0, 4096);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 8)), CommandStatus::kSuccess);
  EXPECT_TRUE(memory_.Holds(kData, 4096, 3));
}

TEST_F(ControllerTest, CompletionsOfAKilledProcessArePostedOnce) {
  EnableWithQueues(4);
  for (uint16_t i = 0; i < 2; ++i) Do(1, Flush(i));
  // As it stands when two commands are carried out, and the process is killed before it says so.
  Put(1, Flush(7));
  Put(1, Flush(8));
  Ring(1);
  Queues queues(state_.session, registers(), memory_, interrupts_);
  SubmissionEntry commands[kBatch];
  queues.NoticeDoorbells();
  ASSERT_EQ(*queues.Fetch(1, commands), 2U);
  queues.Complete(7, {});
  queues.Complete(8, {.status = CommandStatus::kWriteFault});
  Run();
  Reply reply;
  ASSERT_TRUE(Take(1, &reply));
  EXPECT_EQ(reply.command_id, 7);
  ASSERT_TRUE(Take(1, &reply));
  EXPECT_EQ(reply.command_id, 8);
  EXPECT_EQ(reply.status, CommandStatus::kWriteFault);
  EXPECT_FALSE(Take(1, &reply));
  Acknowledge(1);
  EXPECT_EQ(Do(1, Flush(9)).status, CommandStatus::kSuccess);
}

}  // namespace
}  // namespace ioas::soft::nvme
