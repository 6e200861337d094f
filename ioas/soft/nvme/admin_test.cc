// The commands of the admin queue.
#include "ioas/soft/nvme/admin.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

#include "ioas/soft/nvme/data_pages.h"
#include "ioas/soft/nvme/test_support.h"

namespace ioas::soft::nvme {
namespace {

class AdminTest : public NvmeFixture {
 protected:
  AdminTest() { Enable(); }

  CommandStatus Identify(IdentifyStructure structure, uint32_t namespace_id, uint32_t first = 0) {
    std::memset(memory_.At(kData), 0xee, 2 * kDataPageSize);
    const auto cdw10 = static_cast<uint32_t>(structure) | first << 16;
    return StatusOf(0, Admin(AdminOpcode::kIdentify, cdw10, 0, kData, namespace_id));
  }
  static SubmissionEntry LogCommand(LogPage page, uint32_t bytes) {
    return Admin(AdminOpcode::kGetLogPage, static_cast<uint32_t>(page) | (bytes / 4 - 1) << 16);
  }
  CommandStatus GetLog(LogPage page, uint32_t bytes) {
    return StatusOf(0, LogCommand(page, bytes));
  }
  CommandStatus SetFeature(Feature feature, uint32_t cdw11) {
    return StatusOf(0, Admin(AdminOpcode::kSetFeatures, static_cast<uint32_t>(feature), cdw11));
  }
  CommandStatus CreateCompletion(uint32_t id, uint32_t entries, uint32_t cdw11 = 1,
                                 uint64_t base = kData) {
    return StatusOf(
        0, Admin(AdminOpcode::kCreateCompletionQueue, (entries - 1) << 16 | id, cdw11, base));
  }
  CommandStatus CreateSubmission(uint32_t id, uint32_t entries, uint32_t cdw11,
                                 uint64_t base = kData) {
    return StatusOf(
        0, Admin(AdminOpcode::kCreateSubmissionQueue, (entries - 1) << 16 | id, cdw11, base));
  }
  void RequestEvent(uint16_t command_id) {
    SubmissionEntry command = Admin(AdminOpcode::kAsyncEventRequest);
    command.command_id = command_id;
    Put(0, command);
    Ring(0);
    Run();
  }
};

TEST_F(AdminTest, IdentifyControllerFitsTheCapabilities) {
  ASSERT_EQ(Identify(IdentifyStructure::kController, 0), CommandStatus::kSuccess);
  const auto& page = Data<IdentifyController>();
  EXPECT_EQ(page.vendor_id, controller_->identity().vendor_id);
  EXPECT_EQ(std::string_view(page.serial_number, 20), "test-1              ");
  EXPECT_EQ(page.version, registers().Load(kRegisterVs));
  EXPECT_EQ(1U << page.maximum_data_transfer, 256U);
  EXPECT_EQ(page.namespaces, 1U);
  EXPECT_EQ(page.submission_entry_size, 0x66);
  EXPECT_EQ(page.completion_entry_size, 0x44);
  EXPECT_EQ(page.volatile_write_cache & 1, 1);
  EXPECT_EQ(std::string_view(page.subsystem_name).substr(0, 32),
            "nqn.2014-08.org.nvmexpress:uuid:");
  EXPECT_EQ(std::strlen(page.subsystem_name), 68U);
  EXPECT_EQ(*memory_.At(kData + kDataPageSize), std::byte{0xee});
}

TEST_F(AdminTest, IdentifyNamespaceTellsItsBlocks) {
  for (const auto structure :
       {IdentifyStructure::kNamespace, IdentifyStructure::kAllocatedNamespace}) {
    ASSERT_EQ(Identify(structure, 1), CommandStatus::kSuccess);
    const auto& page = Data<IdentifyNamespace>();
    EXPECT_EQ(page.size, kImageSize / 512);
    EXPECT_EQ(page.capacity, page.size);
    EXPECT_EQ(page.lba_format[page.formatted_lba].data_shift, 9);
    EXPECT_EQ(page.deallocate_features & 7, 1);
    EXPECT_EQ(Identify(structure, 2), CommandStatus::kInvalidNamespaceOrFormat);
    EXPECT_EQ(Identify(structure, 0), CommandStatus::kInvalidNamespaceOrFormat);
  }
}

TEST_F(AdminTest, IdentifyListsTheNamespace) {
  for (const auto structure :
       {IdentifyStructure::kActiveNamespaces, IdentifyStructure::kAllocatedNamespaces}) {
    ASSERT_EQ(Identify(structure, 0), CommandStatus::kSuccess);
    EXPECT_EQ(Data<uint64_t>(), 1U);
    ASSERT_EQ(Identify(structure, 1), CommandStatus::kSuccess);
    EXPECT_EQ(Data<uint64_t>(), 0U);
    EXPECT_EQ(Identify(structure, 0xfffffffe), CommandStatus::kInvalidNamespaceOrFormat);
  }
}

TEST_F(AdminTest, IdentifyDescribesTheNamespaceByAUuid) {
  ASSERT_EQ(Identify(IdentifyStructure::kNamespaceDescriptors, 1), CommandStatus::kSuccess);
  const auto& header = Data<NamespaceDescriptorHeader>();
  EXPECT_EQ(header.type, kDescriptorTypeUuid);
  EXPECT_EQ(header.length, 16);
  const std::byte* uuid = memory_.At(kData + 4);
  EXPECT_EQ(uuid[6] >> 4, std::byte{8});
  EXPECT_EQ(uuid[8] >> 6, std::byte{2});
  EXPECT_EQ(uuid[16], std::byte{0});  // no further descriptor
}

TEST_F(AdminTest, IdentifyListsTheController) {
  ASSERT_EQ(Identify(IdentifyStructure::kControllers, 0), CommandStatus::kSuccess);
  EXPECT_EQ(Data<uint32_t>(), 1U);  // one controller, of id 0
  ASSERT_EQ(Identify(IdentifyStructure::kControllersOfNamespace, 1, 1), CommandStatus::kSuccess);
  EXPECT_EQ(Data<uint32_t>(), 0U);
  EXPECT_EQ(Identify(IdentifyStructure::kControllersOfNamespace, 7),
            CommandStatus::kInvalidNamespaceOrFormat);
}

TEST_F(AdminTest, IdentifyRefusesWhatIsNotSupported) {
  for (const uint32_t structure : {0x04, 0x05, 0x06, 0x08, 0x14, 0x15, 0x16, 0x17, 0x1c, 0xff}) {
    EXPECT_EQ(Identify(static_cast<IdentifyStructure>(structure), 0), CommandStatus::kInvalidField);
  }
}

TEST_F(AdminTest, IdentifyIntoMemoryThatIsNotMappedIsATransferError) {
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kIdentify, 1, 0, 0x10)),
            CommandStatus::kDataTransferError);
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kIdentify, 1, 0, kData + 1)),
            CommandStatus::kPrpOffsetInvalid);
}

TEST_F(AdminTest, CommandsThatAreNotSupportedAreRefused) {
  for (const uint32_t opcode : {0x03, 0x0d, 0x10, 0x11, 0x14, 0x15, 0x18, 0x80, 0x81, 0xc0}) {
    EXPECT_EQ(StatusOf(0, Admin(static_cast<AdminOpcode>(opcode))), CommandStatus::kInvalidOpcode);
  }
  SubmissionEntry with_sgl = Admin(AdminOpcode::kIdentify, 1);
  with_sgl.flags = 1 << 6;
  EXPECT_EQ(StatusOf(0, with_sgl), CommandStatus::kInvalidField);
}

TEST_F(AdminTest, QueuesThatCannotBeAreRefused) {
  EXPECT_EQ(CreateCompletion(0, 8), CommandStatus::kInvalidQueueIdentifier);
  EXPECT_EQ(CreateCompletion(65, 8), CommandStatus::kInvalidQueueIdentifier);
  EXPECT_EQ(CreateCompletion(1, 1), CommandStatus::kInvalidQueueSize);
  EXPECT_EQ(CreateCompletion(1, kMaximumQueueEntries + 1), CommandStatus::kInvalidQueueSize);
  EXPECT_EQ(CreateCompletion(1, 8, 1, kData + 512), CommandStatus::kPrpOffsetInvalid);
  EXPECT_EQ(CreateCompletion(1, 8, 0), CommandStatus::kInvalidField);
  EXPECT_EQ(CreateCompletion(1, 8, 65 << 16 | 3), CommandStatus::kInvalidInterruptVector);
  EXPECT_EQ(CreateCompletion(1, kMaximumQueueEntries, 64 << 16 | 3), CommandStatus::kSuccess);
  EXPECT_EQ(CreateCompletion(1, 8), CommandStatus::kInvalidQueueIdentifier);

  EXPECT_EQ(CreateSubmission(0, 8, 1 << 16 | 1), CommandStatus::kInvalidQueueIdentifier);
  EXPECT_EQ(CreateSubmission(1, 8, 1), CommandStatus::kInvalidQueueIdentifier);
  EXPECT_EQ(CreateSubmission(1, 8, 65 << 16 | 1), CommandStatus::kInvalidQueueIdentifier);
  EXPECT_EQ(CreateSubmission(1, 8, 2 << 16 | 1), CommandStatus::kCompletionQueueInvalid);
  EXPECT_EQ(CreateSubmission(1, 1, 1 << 16 | 1), CommandStatus::kInvalidQueueSize);
  EXPECT_EQ(CreateSubmission(1, 8, 1 << 16), CommandStatus::kInvalidField);
  EXPECT_EQ(CreateSubmission(1, 8, 1 << 16 | 1, kData + 8), CommandStatus::kPrpOffsetInvalid);
  EXPECT_EQ(CreateSubmission(1, 8, 1 << 16 | 1), CommandStatus::kSuccess);
  EXPECT_EQ(CreateSubmission(1, 8, 1 << 16 | 1), CommandStatus::kInvalidQueueIdentifier);
}

TEST_F(AdminTest, QueuesAreDeletedInOrder) {
  MakeQueues(1, 8);
  const auto remove = [&](AdminOpcode opcode, uint32_t id) {
    return StatusOf(0, Admin(opcode, id));
  };
  EXPECT_EQ(remove(AdminOpcode::kDeleteCompletionQueue, 1), CommandStatus::kInvalidQueueDeletion);
  EXPECT_EQ(remove(AdminOpcode::kDeleteSubmissionQueue, 0), CommandStatus::kInvalidQueueIdentifier);
  EXPECT_EQ(remove(AdminOpcode::kDeleteSubmissionQueue, 2), CommandStatus::kInvalidQueueIdentifier);
  EXPECT_EQ(remove(AdminOpcode::kDeleteSubmissionQueue, 1), CommandStatus::kSuccess);
  EXPECT_EQ(remove(AdminOpcode::kDeleteCompletionQueue, 1), CommandStatus::kSuccess);
  EXPECT_EQ(remove(AdminOpcode::kDeleteCompletionQueue, 0), CommandStatus::kInvalidQueueIdentifier);
  EXPECT_EQ(remove(AdminOpcode::kDeleteCompletionQueue, 0xffff),
            CommandStatus::kInvalidQueueIdentifier);
  MakeQueues(1, 8);
}

TEST_F(AdminTest, EntrySizesMustBeSetBeforeQueuesAreMade) {
  registers().Store(kRegisterCc, kCcEnable);
  Run();
  EXPECT_EQ(CreateCompletion(1, 8), CommandStatus::kInvalidQueueSize);
}

TEST_F(AdminTest, AbortFindsNothingToAbort) {
  const Reply reply = Do(0, Admin(AdminOpcode::kAbort, 0x77 << 16));
  EXPECT_EQ(reply.status, CommandStatus::kSuccess);
  EXPECT_EQ(reply.result, 1U);
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kAbort, 9)), CommandStatus::kInvalidField);
}

TEST_F(AdminTest, SmartLogCountsWhatWasDone) {
  MakeQueues(1, 8);
  EXPECT_EQ(StatusOf(1, LongIo(IoOpcode::kRead, 0, 2048)), CommandStatus::kSuccess);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, 0, 1)), CommandStatus::kSuccess);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kWrite, ~uint64_t{0}, 1)), CommandStatus::kLbaOutOfRange);
  ASSERT_EQ(GetLog(LogPage::kSmartHealth, 512), CommandStatus::kSuccess);
  const auto& smart = Data<SmartHealth>();
  EXPECT_EQ(smart.critical_warning, 0);
  EXPECT_EQ(smart.temperature[0] | smart.temperature[1] << 8, kTemperature);
  EXPECT_EQ(smart.data_units_read.low, 3U);
  EXPECT_EQ(smart.data_units_written.low, 1U);
  EXPECT_EQ(smart.host_reads.low, 1U);
  EXPECT_EQ(smart.host_writes.low, 1U);
  EXPECT_EQ(smart.error_log_entries.low, 1U);
}

TEST_F(AdminTest, ErrorLogHoldsTheNewestErrorsFirst) {
  MakeQueues(1, 8);
  for (uint32_t i = 0; i < 20; ++i) {
    StatusOf(1, Io(IoOpcode::kRead, 1000000 + i, 1));
  }
  ASSERT_EQ(GetLog(LogPage::kErrorInformation, 1024), CommandStatus::kSuccess);
  const auto* entries = &Data<ErrorInformation>();
  EXPECT_EQ(entries[0].error_count, 20U);
  EXPECT_EQ(entries[0].lba, 1000019U);
  EXPECT_EQ(entries[0].submission_queue, 1);
  EXPECT_EQ(entries[0].command_id, 0x4321);
  EXPECT_EQ(entries[0].status >> 1, static_cast<uint16_t>(CommandStatus::kLbaOutOfRange));
  EXPECT_EQ(entries[15].error_count, 5U);
}

TEST_F(AdminTest, LogPagesAreReadInParts) {
  ASSERT_EQ(GetLog(LogPage::kFirmwareSlot, 512), CommandStatus::kSuccess);
  EXPECT_EQ(Data<FirmwareSlots>().active, 1);
  std::memset(memory_.At(kData), 0xee, 4096);
  SubmissionEntry command = LogCommand(LogPage::kFirmwareSlot, 4096);
  command.cdw12 = 8;
  EXPECT_EQ(StatusOf(0, command), CommandStatus::kSuccess);
  EXPECT_EQ(std::memcmp(memory_.At(kData), "1.4.0   ", 8), 0);
  EXPECT_EQ(*memory_.At(kData + 503), std::byte{0});
  EXPECT_EQ(*memory_.At(kData + 504), std::byte{0xee});
}

TEST_F(AdminTest, LogPagesRefuseWhatTheyDoNotHold) {
  SubmissionEntry command = LogCommand(LogPage::kSmartHealth, 512);
  for (const uint32_t offset : {2U, 512U, 0xfffffffcU}) {
    command.cdw12 = offset;
    EXPECT_EQ(StatusOf(0, command), CommandStatus::kInvalidField);
  }
  command.cdw12 = 0;
  command.cdw13 = 1;
  EXPECT_EQ(StatusOf(0, command), CommandStatus::kInvalidField);
  command.cdw13 = 0;
  command.cdw11 = 0xffff;  // 16 GiB
  EXPECT_EQ(StatusOf(0, command), CommandStatus::kInvalidField);
  command.cdw11 = 0;
  command.namespace_id = 1;
  EXPECT_EQ(StatusOf(0, command), CommandStatus::kInvalidField);
  EXPECT_EQ(GetLog(static_cast<LogPage>(0x00), 512), CommandStatus::kInvalidLogPage);
  EXPECT_EQ(GetLog(static_cast<LogPage>(0x06), 512), CommandStatus::kInvalidLogPage);
}

TEST_F(AdminTest, EffectsLogTellsTheCommands) {
  ASSERT_EQ(GetLog(LogPage::kCommandsSupportedAndEffects, 4096), CommandStatus::kSuccess);
  const auto& effects = Data<CommandEffects>();
  EXPECT_EQ(effects.admin[0x06], 1U);
  EXPECT_EQ(effects.admin[0x0d], 0U);
  EXPECT_EQ(effects.io[0x01], 3U);
  EXPECT_EQ(effects.io[0x02], 1U);
  EXPECT_EQ(effects.io[0x05], 0U);
  EXPECT_EQ(GetLog(LogPage::kChangedNamespaces, 4096), CommandStatus::kSuccess);
}

TEST_F(AdminTest, EventRequestsWaitAndAreLimited) {
  Reply reply;
  for (uint16_t i = 0; i < kAsyncEventRequests; ++i) RequestEvent(i);
  EXPECT_FALSE(Take(0, &reply));
  RequestEvent(100);
  ASSERT_TRUE(Take(0, &reply));
  EXPECT_EQ(reply.command_id, 100);
  EXPECT_EQ(reply.status, CommandStatus::kAsyncEventLimitExceeded);
}

TEST_F(AdminTest, InvalidDoorbellIsReportedOnceUntilItsLogIsRead) {
  Reply reply;
  RequestEvent(1);
  RequestEvent(2);
  registers().Store(TailDoorbell(0), 500);
  Run();
  ASSERT_TRUE(Take(0, &reply));
  EXPECT_EQ(reply.result, 0x00010100U);
  Acknowledge(0);
  registers().Store(TailDoorbell(0), 501);
  Run();
  EXPECT_FALSE(Take(0, &reply));
  EXPECT_EQ(GetLog(LogPage::kErrorInformation, 64), CommandStatus::kSuccess);
  ASSERT_TRUE(Take(0, &reply));
  EXPECT_EQ(reply.result, 0x00010100U);
}

TEST_F(AdminTest, DoorbellOfNoQueueIsReported) {
  Reply reply;
  RequestEvent(1);
  const uint32_t value = 1;
  controller_->WriteBar(0, TailDoorbell(9), std::as_bytes(std::span(&value, 1)));
  Run();
  ASSERT_TRUE(Take(0, &reply));
  EXPECT_EQ(reply.result, 0x00010000U);
}

TEST_F(AdminTest, TemperatureBeyondItsThresholdIsReportedIfAskedFor) {
  Reply reply;
  RequestEvent(1);
  EXPECT_EQ(SetFeature(Feature::kTemperatureThreshold, 300), CommandStatus::kSuccess);
  EXPECT_FALSE(Take(0, &reply));
  EXPECT_EQ(SetFeature(Feature::kAsyncEventConfiguration, kWarningTemperature),
            CommandStatus::kSuccess);
  Run();
  ASSERT_TRUE(Take(0, &reply));
  EXPECT_EQ(reply.command_id, 1);
  EXPECT_EQ(reply.result, 0x00020101U);
  Acknowledge(0);
  EXPECT_EQ(GetLog(LogPage::kSmartHealth, 512), CommandStatus::kSuccess);
  EXPECT_EQ(Data<SmartHealth>().critical_warning, kWarningTemperature);
}

}  // namespace
}  // namespace ioas::soft::nvme
