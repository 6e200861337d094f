#include "ioas/soft/nvme/identify.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ioas/soft/nvme/data_pages.h"
#include "ioas/soft/nvme/prp.h"

namespace ioas::soft::nvme {
namespace {

// A page of zeroes that structures are made in.
struct alignas(8) DataPage {
  std::byte bytes[kDataPageSize] = {};

  template <typename T>
  T& As() {
    static_assert(sizeof(T) <= kDataPageSize);
    return *reinterpret_cast<T*>(bytes);
  }
};

uint64_t Hash(uint64_t seed, const char* text) {  // FNV-1a
  for (; *text != '\0'; ++text) seed = (seed ^ static_cast<uint8_t>(*text)) * 0x100000001b3;
  return seed;
}

// A UUID (RFC 9562, version 8) that is the same in each process, and for each run on one image.
void MakeUuid(const NvmeConfig& config, uint8_t uuid[16]) {
  const uint64_t high = Hash(Hash(0xcbf29ce484222325, config.serial_number), config.image_path);
  const uint64_t low = Hash(Hash(high, config.image_path), config.serial_number);
  std::memcpy(uuid, &high, sizeof(high));
  std::memcpy(uuid + 8, &low, sizeof(low));
  uuid[6] = 0x80 | (uuid[6] & 0x0f);
  uuid[8] = 0x80 | (uuid[8] & 0x3f);
}

// 7.9: the second of the two forms of a qualified name.
void MakeSubsystemName(const NvmeConfig& config, char* name) {
  constexpr char kPrefix[] = "nqn.2014-08.org.nvmexpress:uuid:";
  constexpr char kDigits[] = "0123456789abcdef";
  uint8_t uuid[16];
  MakeUuid(config, uuid);
  std::memcpy(name, kPrefix, sizeof(kPrefix) - 1);
  name += sizeof(kPrefix) - 1;
  for (uint32_t i = 0; i < sizeof(uuid); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *name++ = '-';
    *name++ = kDigits[uuid[i] >> 4];
    *name++ = kDigits[uuid[i] & 0xf];
  }
}

void FillController(const NvmeConfig& config, IdentifyController& page) {
  page.vendor_id = kVendorId;
  page.subsystem_vendor_id = kSubsystemVendorId;
  CopyPadded(config.serial_number, page.serial_number, sizeof(page.serial_number));
  CopyPadded(kModelNumber, page.model_number, sizeof(page.model_number));
  CopyPadded(kFirmwareRevision, page.firmware_revision, sizeof(page.firmware_revision));
  page.arbitration_burst = std::countr_zero(kBatch);
  page.maximum_data_transfer = kMaximumTransferShift;
  page.controller_id = kControllerId;
  page.version = kSpecificationVersion;
  page.controller_attributes = 1 << 0;  // host identifiers of 128 bits
  page.controller_type = 1;             // an I/O controller
  page.abort_command_limit = 3;
  page.async_event_request_limit = kAsyncEventRequests - 1;
  page.firmware_updates = 1 << 0 | 1 << 1;     // one slot, read only
  page.log_page_attributes = 1 << 1 | 1 << 2;  // effects log; 32 bit lengths and offsets
  page.error_log_page_entries = kErrorLogEntries - 1;
  page.warning_temperature = kWarningTemperatureThreshold;
  page.critical_temperature = kCriticalTemperatureThreshold;
  page.submission_entry_size = 6 << 4 | 6;
  page.completion_entry_size = 4 << 4 | 4;
  page.namespaces = 1;
  // Dataset management, write zeroes, select and save in features, timestamp.
  page.optional_nvm_commands = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6;
  page.volatile_write_cache = 1 << 0 | 3 << 1;  // there is one; flush takes all namespaces' id
  MakeSubsystemName(config, page.subsystem_name);
  page.power_state[0] = {.maximum_power = 2500,
                         .reserved2 = {},
                         .entry_latency = 16,
                         .exit_latency = 4,
                         .reserved12 = {}};
}

void FillNamespace(const Context& context, IdentifyNamespace& page) {
  page.size = context.state.block_count;
  page.capacity = page.size;
  page.utilization = page.size;
  page.deallocate_features = 1 | 1 << 3;  // reads as zeroes; write zeroes may deallocate
  page.attributes = context.image.read_only() ? 1 : 0;
  page.lba_format[0].data_shift = static_cast<uint8_t>(std::countr_zero(context.config.block_size));
}

void FillDescriptors(const NvmeConfig& config, DataPage& page) {
  page.As<NamespaceDescriptorHeader>() = {
      .type = kDescriptorTypeUuid, .length = 16, .reserved = {}};
  MakeUuid(config, reinterpret_cast<uint8_t*>(page.bytes) + sizeof(NamespaceDescriptorHeader));
}

// The namespaces above `after`, of which there can be one.
CommandStatus FillNamespaceList(uint32_t after, DataPage& page) {
  if (after >= kAllNamespaces - 1) return CommandStatus::kInvalidNamespaceOrFormat;
  if (after < kNamespaceId) page.As<uint32_t>() = kNamespaceId;
  return CommandStatus::kSuccess;
}

// The controllers from `first`: their number, then their ids.
void FillControllerList(uint16_t first, DataPage& page) {
  struct ControllerList {
    uint16_t count;
    uint16_t id;
  };
  if (first <= kControllerId) page.As<ControllerList>() = {1, kControllerId};
}

bool IsAboutOneNamespace(IdentifyStructure structure) {
  return structure == IdentifyStructure::kNamespace ||
         structure == IdentifyStructure::kAllocatedNamespace ||
         structure == IdentifyStructure::kNamespaceDescriptors ||
         structure == IdentifyStructure::kControllersOfNamespace;
}

CommandStatus Fill(const Context& context, const SubmissionEntry& command, DataPage& page) {
  const auto structure = static_cast<IdentifyStructure>(command.cdw10 & 0xff);
  if (IsAboutOneNamespace(structure) && command.namespace_id != kNamespaceId) {
    return CommandStatus::kInvalidNamespaceOrFormat;
  }
  switch (structure) {
    case IdentifyStructure::kNamespace:
    case IdentifyStructure::kAllocatedNamespace:
      FillNamespace(context, page.As<IdentifyNamespace>());
      return CommandStatus::kSuccess;
    case IdentifyStructure::kController:
      FillController(context.config, page.As<IdentifyController>());
      return CommandStatus::kSuccess;
    case IdentifyStructure::kActiveNamespaces:
    case IdentifyStructure::kAllocatedNamespaces:
      return FillNamespaceList(command.namespace_id, page);
    case IdentifyStructure::kNamespaceDescriptors:
      FillDescriptors(context.config, page);
      return CommandStatus::kSuccess;
    case IdentifyStructure::kControllersOfNamespace:
    case IdentifyStructure::kControllers:
      FillControllerList(static_cast<uint16_t>(command.cdw10 >> 16), page);
      return CommandStatus::kSuccess;
  }
  return CommandStatus::kInvalidField;
}

}  // namespace

void CopyPadded(std::string_view text, char* field, size_t size) {
  const size_t length = text.copy(field, size);
  std::fill(field + length, field + size, ' ');
}

CommandOutcome Identify(const Context& context, const SubmissionEntry& command) {
  DataPage page;
  const CommandStatus status = Fill(context, command, page);
  if (status != CommandStatus::kSuccess) return {.status = status};
  return {.status = WriteToHost(context.dma, context.session().page_size, command, page.bytes)};
}

}  // namespace ioas::soft::nvme
