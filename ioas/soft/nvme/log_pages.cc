#include "ioas/soft/nvme/log_pages.h"

#include <algorithm>
#include <cstring>

#include "ioas/soft/nvme/async_events.h"
#include "ioas/soft/nvme/data_pages.h"
#include "ioas/soft/nvme/features.h"
#include "ioas/soft/nvme/identify.h"
#include "ioas/soft/nvme/prp.h"

namespace ioas::soft::nvme {
namespace {

constexpr uint16_t kNoParameterLocation = 0xffff;
constexpr uint32_t kSupported = 1 << 0;
constexpr uint32_t kChangesBlocks = 1 << 1;

// Newest first.
size_t FillErrors(const Lifetime& lifetime, std::byte* page) {
  const uint64_t count = std::min<uint64_t>(lifetime.errors, kErrorLogEntries);
  for (uint64_t i = 0; i < count; ++i) {
    const ErrorRecord& record = lifetime.error_log[(lifetime.errors - 1 - i) % kErrorLogEntries];
    ErrorInformation entry{};
    entry.error_count = record.error_count;
    entry.submission_queue = record.submission_queue;
    entry.command_id = record.command_id;
    entry.status = static_cast<uint16_t>(record.status << 1);
    entry.parameter_location = kNoParameterLocation;
    entry.lba = record.lba;
    entry.namespace_id = record.namespace_id;
    std::memcpy(page + i * sizeof(entry), &entry, sizeof(entry));
  }
  return kErrorLogEntries * sizeof(ErrorInformation);
}

// Data units are thousands of 512 bytes, rounded up.
uint64_t DataUnits(uint64_t sectors) { return sectors / 1000 + (sectors % 1000 != 0 ? 1 : 0); }

size_t FillSmart(const NvmeState& state, std::byte* page) {
  const Lifetime& lifetime = state.lifetime;
  SmartHealth smart{};
  smart.critical_warning = CriticalWarnings(state);
  std::memcpy(smart.temperature, &kTemperature, sizeof(kTemperature));
  smart.available_spare = 100;
  smart.available_spare_threshold = 10;
  smart.data_units_read.low = DataUnits(lifetime.sectors_read);
  smart.data_units_written.low = DataUnits(lifetime.sectors_written);
  smart.host_reads.low = lifetime.host_reads;
  smart.host_writes.low = lifetime.host_writes;
  smart.power_cycles.low = 1;
  smart.power_on_hours.low = (MonotonicMilliseconds() - lifetime.power_on_at) / 3600000;
  smart.media_errors.low = lifetime.media_errors;
  smart.error_log_entries.low = lifetime.errors;
  std::memcpy(page, &smart, sizeof(smart));
  return sizeof(smart);
}

size_t FillFirmware(std::byte* page) {
  FirmwareSlots slots{};
  slots.active = 1;
  CopyPadded(kFirmwareRevision, slots.revision[0], sizeof(slots.revision[0]));
  std::memcpy(page, &slots, sizeof(slots));
  return sizeof(slots);
}

size_t FillEffects(std::byte* page) {
  auto& effects = *reinterpret_cast<CommandEffects*>(page);
  for (const AdminOpcode opcode :
       {AdminOpcode::kDeleteSubmissionQueue, AdminOpcode::kCreateSubmissionQueue,
        AdminOpcode::kGetLogPage, AdminOpcode::kDeleteCompletionQueue,
        AdminOpcode::kCreateCompletionQueue, AdminOpcode::kIdentify, AdminOpcode::kAbort,
        AdminOpcode::kSetFeatures, AdminOpcode::kGetFeatures, AdminOpcode::kAsyncEventRequest}) {
    effects.admin[static_cast<uint8_t>(opcode)] = kSupported;
  }
  for (const IoOpcode opcode : {IoOpcode::kFlush, IoOpcode::kRead}) {
    effects.io[static_cast<uint8_t>(opcode)] = kSupported;
  }
  for (const IoOpcode opcode :
       {IoOpcode::kWrite, IoOpcode::kWriteZeroes, IoOpcode::kDatasetManagement}) {
    effects.io[static_cast<uint8_t>(opcode)] = kSupported | kChangesBlocks;
  }
  return sizeof(effects);
}

// Fills `page`, which is zeroes, and returns how long the log page is; 0 if it is not kept.
size_t FillLogPage(const NvmeState& state, LogPage id, std::byte* page) {
  switch (id) {
    case LogPage::kErrorInformation:
      return FillErrors(state.lifetime, page);
    case LogPage::kSmartHealth:
      return FillSmart(state, page);
    case LogPage::kFirmwareSlot:
      return FillFirmware(page);
    case LogPage::kChangedNamespaces:
      return kDataPageSize;  // the namespace never changes
    case LogPage::kCommandsSupportedAndEffects:
      return FillEffects(page);
  }
  return 0;
}

}  // namespace

CommandOutcome GetLogPage(const Context& context, const SubmissionEntry& command) {
  const auto id = static_cast<LogPage>(command.cdw10 & 0xff);
  const bool retain_event = (command.cdw10 >> 15 & 1) != 0;
  const uint64_t double_words = (command.cdw10 >> 16 | uint64_t{command.cdw11 & 0xffff} << 16) + 1;
  const uint64_t offset = command.cdw12 | uint64_t{command.cdw13} << 32;
  // Health is kept for the controller, not for each namespace.
  if (id == LogPage::kSmartHealth && command.namespace_id != 0 &&
      command.namespace_id != kAllNamespaces) {
    return {.status = CommandStatus::kInvalidField};
  }
  alignas(8) std::byte page[kDataPageSize] = {};
  const size_t size = FillLogPage(context.state, id, page);
  if (size == 0) return {.status = CommandStatus::kInvalidLogPage};
  if (offset % 4 != 0 || offset >= size || double_words * 4 > kMaximumTransfer) {
    return {.status = CommandStatus::kInvalidField};
  }
  const size_t length = std::min<uint64_t>(double_words * 4, size - offset);
  const CommandStatus status = WriteToHost(context.dma, context.session().page_size, command,
                                           std::span(page).subspan(offset, length));
  if (status == CommandStatus::kSuccess && !retain_event) {
    UnmaskEventsOf(context.session().events, id);
  }
  return {.status = status};
}

void RecordError(Lifetime& lifetime, uint32_t submission_queue, const SubmissionEntry& command,
                 CommandStatus status) {
  ErrorRecord& record = lifetime.error_log[lifetime.errors % kErrorLogEntries];
  record.error_count = lifetime.errors + 1;
  record.submission_queue = static_cast<uint16_t>(submission_queue);
  record.command_id = command.command_id;
  record.status = static_cast<uint16_t>(status);
  record.namespace_id = command.namespace_id;
  record.lba = submission_queue == 0 ? 0 : command.cdw10 | uint64_t{command.cdw11} << 32;
  ++lifetime.errors;
}

}  // namespace ioas::soft::nvme
