// What the NVM Express specification (base specification 1.4) fixes for both sides: entries of
// queues, opcodes, status values, identifiers. The pages that Identify and Get Log Page return are
// in data_pages.h, the registers in registers.h.
#ifndef IOAS_SOFT_NVME_NVME_SPEC_H_
#define IOAS_SOFT_NVME_NVME_SPEC_H_

#include <bit>
#include <cstdint>

namespace ioas::soft::nvme {

// Everything on this interface is little endian, and is used here as it lies in memory.
static_assert(std::endian::native == std::endian::little);

// 4.2: a submission queue entry. The double words without a name mean what the opcode says.
struct SubmissionEntry {
  uint8_t opcode;
  uint8_t flags;  // 1:0 fused operation, 7:6 PRP or SGL
  uint16_t command_id;
  uint32_t namespace_id;
  uint32_t cdw2;
  uint32_t cdw3;
  uint64_t metadata;
  uint64_t prp1;
  uint64_t prp2;
  uint32_t cdw10;
  uint32_t cdw11;
  uint32_t cdw12;
  uint32_t cdw13;
  uint32_t cdw14;
  uint32_t cdw15;
};
static_assert(sizeof(SubmissionEntry) == 64);

// 4.6: a completion queue entry.
struct CompletionEntry {
  uint32_t result;
  uint32_t reserved;
  uint16_t submission_head;
  uint16_t submission_queue;
  uint16_t command_id;
  uint16_t status;  // bit 0: the phase; above it a CommandStatus
};
static_assert(sizeof(CompletionEntry) == 16);

enum class AdminOpcode : uint8_t {
  kDeleteSubmissionQueue = 0x00,
  kCreateSubmissionQueue = 0x01,
  kGetLogPage = 0x02,
  kDeleteCompletionQueue = 0x04,
  kCreateCompletionQueue = 0x05,
  kIdentify = 0x06,
  kAbort = 0x08,
  kSetFeatures = 0x09,
  kGetFeatures = 0x0a,
  kAsyncEventRequest = 0x0c,
};

enum class IoOpcode : uint8_t {
  kFlush = 0x00,
  kWrite = 0x01,
  kRead = 0x02,
  kWriteZeroes = 0x08,
  kDatasetManagement = 0x09,
};

// 4.6.1: the status field of a completion without its phase bit: code in 7:0, type in 10:8. Bit 14,
// Do Not Retry, is part of the value wherever the same command would fail again.
enum class CommandStatus : uint16_t {
  kSuccess = 0x0000,
  kInvalidOpcode = 0x4001,
  kInvalidField = 0x4002,
  kDataTransferError = 0x4004,
  kInternalError = 0x0006,
  kInvalidNamespaceOrFormat = 0x400b,
  kCommandSequenceError = 0x400c,
  kPrpOffsetInvalid = 0x4013,
  kNamespaceWriteProtected = 0x4020,
  kLbaOutOfRange = 0x4080,
  kCapacityExceeded = 0x4081,
  kCompletionQueueInvalid = 0x4100,
  kInvalidQueueIdentifier = 0x4101,
  kInvalidQueueSize = 0x4102,
  kAsyncEventLimitExceeded = 0x4105,
  kInvalidInterruptVector = 0x4108,
  kInvalidLogPage = 0x4109,
  kInvalidQueueDeletion = 0x410c,
  kFeatureNotSaveable = 0x410d,
  kWriteFault = 0x0280,
  kUnrecoveredReadError = 0x0281,
};

// What carrying out a command came to.
struct CommandOutcome {
  CommandStatus status = CommandStatus::kSuccess;
  uint32_t result = 0;       // double word 0 of the completion
  bool outstanding = false;  // no completion now: it waits for an event
};

// 5.21.1: features, by identifier.
enum class Feature : uint8_t {
  kArbitration = 0x01,
  kPowerManagement = 0x02,
  kTemperatureThreshold = 0x04,
  kErrorRecovery = 0x05,
  kVolatileWriteCache = 0x06,
  kNumberOfQueues = 0x07,
  kInterruptCoalescing = 0x08,
  kInterruptVectorConfiguration = 0x09,
  kWriteAtomicity = 0x0a,
  kAsyncEventConfiguration = 0x0b,
  kTimestamp = 0x0e,
  kHostIdentifier = 0x81,
};

// 5.14.1: log pages, by identifier.
enum class LogPage : uint8_t {
  kErrorInformation = 0x01,
  kSmartHealth = 0x02,
  kFirmwareSlot = 0x03,
  kChangedNamespaces = 0x04,
  kCommandsSupportedAndEffects = 0x05,
};

// Critical warnings (5.14.1.2, byte 0), which are also bits of asynchronous event configuration.
inline constexpr uint8_t kWarningTemperature = 1 << 1;
inline constexpr uint8_t kWarningReliability = 1 << 2;

inline constexpr uint32_t kSpecificationVersion = 0x00010400;  // 1.4
// The one namespace, and the value that means all of them.
inline constexpr uint32_t kNamespaceId = 1;
inline constexpr uint32_t kAllNamespaces = 0xffffffff;
inline constexpr uint16_t kControllerId = 0;

// Numbers that this controller chooses, and says in its capabilities or in Identify Controller.
inline constexpr uint32_t kMaximumIoQueues = 64;
inline constexpr uint32_t kInterruptVectors = kMaximumIoQueues + 1;
inline constexpr uint32_t kMaximumQueueEntries = 4096;
inline constexpr uint32_t kMaximumTransferShift = 8;  // MDTS: 256 times the smallest page, 1 MiB
inline constexpr uint32_t kMaximumTransfer = 4096U << kMaximumTransferShift;
inline constexpr uint32_t kAsyncEventRequests = 4;
inline constexpr uint32_t kErrorLogEntries = 16;
inline constexpr uint16_t kTemperature = 313;  // kelvin; emulated silicon does not warm up
inline constexpr uint16_t kWarningTemperatureThreshold = 343;
inline constexpr uint16_t kCriticalTemperatureThreshold = 373;

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_NVME_SPEC_H_
