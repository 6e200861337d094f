#include "ioas/soft/nvme/features.h"

#include <cstring>

#include "ioas/soft/nvme/async_events.h"
#include "ioas/soft/nvme/flush.h"
#include "ioas/soft/nvme/prp.h"

namespace ioas::soft::nvme {
namespace {

// Get Features, select (figure 177).
enum class Select : uint8_t { kCurrent, kDefault, kSaved, kCapabilities };

constexpr uint32_t kNumberOfQueues = (kMaximumIoQueues - 1) | (kMaximumIoQueues - 1) << 16;
constexpr uint64_t kTimestampMask = (uint64_t{1} << 48) - 1;

bool IsSupported(Feature feature) {
  switch (feature) {
    case Feature::kArbitration:
    case Feature::kPowerManagement:
    case Feature::kTemperatureThreshold:
    case Feature::kErrorRecovery:
    case Feature::kVolatileWriteCache:
    case Feature::kNumberOfQueues:
    case Feature::kInterruptCoalescing:
    case Feature::kInterruptVectorConfiguration:
    case Feature::kWriteAtomicity:
    case Feature::kAsyncEventConfiguration:
    case Feature::kTimestamp:
    case Feature::kHostIdentifier:
      return true;
  }
  return false;
}

// The threshold that double word 11 selects; nullptr if there is no such sensor or type. Only the
// composite temperature is measured; `all` is the selector that means every sensor, for setting.
uint32_t* ThresholdOf(FeatureValues& features, uint32_t cdw11, bool all) {
  const uint32_t sensor = cdw11 >> 16 & 0xf;
  const uint32_t type = cdw11 >> 20 & 3;
  if (sensor != 0 && !(all && sensor == 0xf)) return nullptr;
  if (type == 0) return &features.temperature_over;
  return type == 1 ? &features.temperature_under : nullptr;
}

// The value of a feature whose value fits the completion.
CommandOutcome ValueOf(FeatureValues& features, Feature feature, uint32_t cdw11) {
  switch (feature) {
    case Feature::kArbitration:
      return {.result = features.arbitration};
    case Feature::kTemperatureThreshold: {
      const uint32_t* threshold = ThresholdOf(features, cdw11, false);
      if (threshold == nullptr) return {.status = CommandStatus::kInvalidField};
      return {.result = *threshold};
    }
    case Feature::kErrorRecovery:
      return {.result = features.error_recovery};
    case Feature::kVolatileWriteCache:
      return {.result = features.write_cache};
    case Feature::kNumberOfQueues:
      return {.result = kNumberOfQueues};
    case Feature::kInterruptCoalescing:
      return {.result = features.interrupt_coalescing};
    case Feature::kInterruptVectorConfiguration: {
      const uint32_t vector = cdw11 & 0xffff;
      if (vector >= kInterruptVectors) return {.status = CommandStatus::kInvalidField};
      return {.result = vector | uint32_t{features.coalescing_disabled[vector]} << 16};
    }
    case Feature::kWriteAtomicity:
      return {.result = features.write_atomicity};
    case Feature::kAsyncEventConfiguration:
      return {.result = features.async_events};
    default:
      return {};  // power state 0 is the only one
  }
}

// Figure 293: milliseconds in 47:0, whether the host set it in 51:49.
uint64_t TimestampOf(const FeatureValues& features) {
  const uint64_t now = features.timestamp + MonotonicMilliseconds() - features.timestamp_set_at;
  return (now & kTimestampMask) | uint64_t{features.timestamp_was_set} << 49;
}

CommandStatus SendTimestamp(const Context& context, const SubmissionEntry& command,
                            const FeatureValues& features) {
  const uint64_t timestamp = TimestampOf(features);
  return WriteToHost(context.dma, context.session().page_size, command,
                     std::as_bytes(std::span(&timestamp, 1)));
}

CommandStatus ReceiveTimestamp(const Context& context, const SubmissionEntry& command) {
  uint64_t timestamp = 0;
  const CommandStatus status = ReadFromHost(context.dma, context.session().page_size, command,
                                            std::as_writable_bytes(std::span(&timestamp, 1)));
  if (status != CommandStatus::kSuccess) return status;
  FeatureValues& features = context.session().features;
  features.timestamp = timestamp & kTimestampMask;
  features.timestamp_set_at = MonotonicMilliseconds();
  features.timestamp_was_set = true;
  return CommandStatus::kSuccess;
}

// Host identifiers are 8 bytes, or 16 if double word 11 says so.
size_t HostIdentifierSize(uint32_t cdw11) { return (cdw11 & 1) != 0 ? 16 : 8; }

// The temperature never changes: it can come to lie outside the thresholds, or that to be of
// interest, only by what the host sets.
void RaiseTemperatureEvent(const Context& context) {
  if ((CriticalWarnings(context.state) & kWarningTemperature) == 0) return;
  RaiseEvent(context.session(), AsyncEvent::kTemperature);
}

CommandStatus SetTemperatureThreshold(const Context& context, uint32_t cdw11) {
  uint32_t* threshold = ThresholdOf(context.session().features, cdw11, true);
  if (threshold == nullptr) return CommandStatus::kInvalidField;
  *threshold = cdw11 & 0xffff;
  RaiseTemperatureEvent(context);
  return CommandStatus::kSuccess;
}

CommandStatus SetErrorRecovery(FeatureValues& features, const SubmissionEntry& command) {
  constexpr uint32_t kErrorOnDeallocated = 1 << 16;
  if (command.namespace_id != kNamespaceId && command.namespace_id != kAllNamespaces) {
    return CommandStatus::kInvalidNamespaceOrFormat;
  }
  if ((command.cdw11 & kErrorOnDeallocated) != 0) return CommandStatus::kInvalidField;
  features.error_recovery = command.cdw11 & 0xffff;
  return CommandStatus::kSuccess;
}

CommandStatus SetWriteCache(const Context& context, uint32_t cdw11) {
  context.session().features.write_cache = cdw11 & 1;
  return (cdw11 & 1) != 0 ? CommandStatus::kSuccess : FlushImage(context);
}

CommandOutcome SetNumberOfQueues(const Session& session, uint32_t cdw11) {
  if ((cdw11 & 0xffff) == 0xffff || cdw11 >> 16 == 0xffff) {
    return {.status = CommandStatus::kInvalidField};
  }
  if ((session.submission_queue_bits | session.completion_queue_bits) != 0) {
    return {.status = CommandStatus::kCommandSequenceError};
  }
  return {.result = kNumberOfQueues};
}

CommandStatus SetVectorConfiguration(FeatureValues& features, uint32_t cdw11) {
  const uint32_t vector = cdw11 & 0xffff;
  if (vector >= kInterruptVectors) return CommandStatus::kInvalidField;
  features.coalescing_disabled[vector] = (cdw11 >> 16 & 1) != 0;
  return CommandStatus::kSuccess;
}

CommandOutcome SetValue(const Context& context, Feature feature, const SubmissionEntry& command) {
  Session& session = context.session();
  FeatureValues& features = session.features;
  const uint32_t cdw11 = command.cdw11;
  switch (feature) {
    case Feature::kArbitration:
      features.arbitration = cdw11;
      return {};
    case Feature::kPowerManagement:
      if ((cdw11 & 0x1f) != 0) return {.status = CommandStatus::kInvalidField};
      return {};
    case Feature::kTemperatureThreshold:
      return {.status = SetTemperatureThreshold(context, cdw11)};
    case Feature::kErrorRecovery:
      return {.status = SetErrorRecovery(features, command)};
    case Feature::kVolatileWriteCache:
      return {.status = SetWriteCache(context, cdw11)};
    case Feature::kNumberOfQueues:
      return SetNumberOfQueues(session, cdw11);
    case Feature::kInterruptCoalescing:
      features.interrupt_coalescing = cdw11 & 0xffff;
      return {};
    case Feature::kInterruptVectorConfiguration:
      return {.status = SetVectorConfiguration(features, cdw11)};
    case Feature::kWriteAtomicity:
      features.write_atomicity = cdw11 & 1;
      return {};
    case Feature::kAsyncEventConfiguration:
      features.async_events = cdw11 & 0xff;
      RaiseTemperatureEvent(context);
      return {};
    case Feature::kTimestamp:
      return {.status = ReceiveTimestamp(context, command)};
    case Feature::kHostIdentifier:
      return {.status = ReadFromHost(context.dma, session.page_size, command,
                                     std::as_writable_bytes(std::span(features.host_identifier,
                                                                      HostIdentifierSize(cdw11))))};
  }
  return {.status = CommandStatus::kInvalidField};
}

// Select 3: which of saveable (bit 0), namespace specific (1) and changeable (2) a feature is.
uint32_t CapabilitiesOf(Feature feature) {
  return feature == Feature::kErrorRecovery ? 1 << 1 | 1 << 2 : 1 << 2;
}

}  // namespace

void ResetFeatures(FeatureValues& features) {
  features = {};
  features.arbitration = 7;  // no limit to a burst
  features.temperature_over = kWarningTemperatureThreshold;
  features.write_cache = 1;
  features.timestamp_set_at = MonotonicMilliseconds();
}

CommandOutcome GetFeatures(const Context& context, const SubmissionEntry& command) {
  const auto feature = static_cast<Feature>(command.cdw10 & 0xff);
  const auto select = static_cast<Select>(command.cdw10 >> 8 & 7);
  if (!IsSupported(feature) || select > Select::kCapabilities) {
    return {.status = CommandStatus::kInvalidField};
  }
  if (select == Select::kCapabilities) return {.result = CapabilitiesOf(feature)};
  FeatureValues features;
  if (select == Select::kCurrent) {
    features = context.session().features;
  } else {
    ResetFeatures(features);  // nothing can be saved, so what is saved is the default
  }
  if (feature == Feature::kTimestamp) {
    return {.status = SendTimestamp(context, command, features)};
  }
  if (feature == Feature::kHostIdentifier) {
    const size_t size = HostIdentifierSize(command.cdw11);
    return {.status = WriteToHost(context.dma, context.session().page_size, command,
                                  std::as_bytes(std::span(features.host_identifier, size)))};
  }
  return ValueOf(features, feature, command.cdw11);
}

// Features of the controller may be set with a namespace's id too: the specification has an error
// for that, but drives take it, and QEMU's driver (block/nvme.c) sends it with the write cache.
CommandOutcome SetFeatures(const Context& context, const SubmissionEntry& command) {
  constexpr uint32_t kSave = 1U << 31;
  const auto feature = static_cast<Feature>(command.cdw10 & 0xff);
  if (!IsSupported(feature)) return {.status = CommandStatus::kInvalidField};
  if ((command.cdw10 & kSave) != 0) return {.status = CommandStatus::kFeatureNotSaveable};
  return SetValue(context, feature, command);
}

uint8_t CriticalWarnings(const NvmeState& state) {
  const FeatureValues& features = state.session.features;
  uint8_t warnings = 0;
  if (kTemperature >= features.temperature_over || kTemperature <= features.temperature_under) {
    warnings |= kWarningTemperature;
  }
  if (state.flush_failed) warnings |= kWarningReliability;
  return warnings;
}

}  // namespace ioas::soft::nvme
