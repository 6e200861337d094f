// The data that Identify (5.15) and Get Log Page (5.14) return, as the specification lays it out.
#ifndef IOAS_SOFT_NVME_DATA_PAGES_H_
#define IOAS_SOFT_NVME_DATA_PAGES_H_

#include <cstddef>
#include <cstdint>

namespace ioas::soft::nvme {

// Identify returns this much whatever is asked; no log page here is longer.
inline constexpr size_t kDataPageSize = 4096;

enum class IdentifyStructure : uint8_t {
  kNamespace = 0x00,
  kController = 0x01,
  kActiveNamespaces = 0x02,
  kNamespaceDescriptors = 0x03,
  kAllocatedNamespaces = 0x10,
  kAllocatedNamespace = 0x11,
  kControllersOfNamespace = 0x12,
  kControllers = 0x13,
};

struct PowerState {
  uint16_t maximum_power;  // centiwatts
  uint8_t reserved2[2];
  uint32_t entry_latency;  // microseconds
  uint32_t exit_latency;
  uint8_t reserved12[20];
};
static_assert(sizeof(PowerState) == 32);

// Figure 247.
struct IdentifyController {
  uint16_t vendor_id;
  uint16_t subsystem_vendor_id;
  char serial_number[20];
  char model_number[40];
  char firmware_revision[8];
  uint8_t arbitration_burst;
  uint8_t ieee_oui[3];
  uint8_t multi_path;
  uint8_t maximum_data_transfer;
  uint16_t controller_id;
  uint32_t version;
  uint32_t rtd3_resume_latency;
  uint32_t rtd3_entry_latency;
  uint32_t optional_async_events;
  uint32_t controller_attributes;
  uint8_t reserved100[11];
  uint8_t controller_type;
  uint8_t reserved112[144];
  uint16_t optional_admin_commands;
  uint8_t abort_command_limit;
  uint8_t async_event_request_limit;
  uint8_t firmware_updates;
  uint8_t log_page_attributes;
  uint8_t error_log_page_entries;
  uint8_t power_states;
  uint8_t reserved264[2];
  uint16_t warning_temperature;
  uint16_t critical_temperature;
  uint8_t reserved270[242];
  uint8_t submission_entry_size;
  uint8_t completion_entry_size;
  uint16_t maximum_commands;
  uint32_t namespaces;
  uint16_t optional_nvm_commands;
  uint16_t fused_operations;
  uint8_t format_attributes;
  uint8_t volatile_write_cache;
  uint16_t atomic_write_unit;
  uint16_t atomic_write_unit_power_fail;
  uint8_t reserved530[238];
  char subsystem_name[256];
  uint8_t reserved1024[1024];
  PowerState power_state[32];
  uint8_t vendor_specific[1024];
};
static_assert(offsetof(IdentifyController, controller_type) == 111);
static_assert(offsetof(IdentifyController, optional_admin_commands) == 256);
static_assert(offsetof(IdentifyController, warning_temperature) == 266);
static_assert(offsetof(IdentifyController, submission_entry_size) == 512);
static_assert(offsetof(IdentifyController, atomic_write_unit) == 526);
static_assert(offsetof(IdentifyController, subsystem_name) == 768);
static_assert(offsetof(IdentifyController, power_state) == 2048);
static_assert(sizeof(IdentifyController) == kDataPageSize);

struct LbaFormat {
  uint16_t metadata_size;
  uint8_t data_shift;
  uint8_t relative_performance;
};

// Figure 245.
struct IdentifyNamespace {
  uint64_t size;  // blocks
  uint64_t capacity;
  uint64_t utilization;
  uint8_t features;
  uint8_t lba_formats;  // 0's based
  uint8_t formatted_lba;
  uint8_t reserved27[6];
  uint8_t deallocate_features;
  uint8_t reserved34[65];
  uint8_t attributes;
  uint8_t reserved100[28];
  LbaFormat lba_format[16];
  uint8_t reserved192[3904];
};
static_assert(offsetof(IdentifyNamespace, deallocate_features) == 33);
static_assert(offsetof(IdentifyNamespace, attributes) == 99);
static_assert(offsetof(IdentifyNamespace, lba_format) == 128);
static_assert(sizeof(IdentifyNamespace) == kDataPageSize);

// Figure 249: what comes before each descriptor in the list for CNS 03h.
struct NamespaceDescriptorHeader {
  uint8_t type;
  uint8_t length;
  uint8_t reserved[2];
};
inline constexpr uint8_t kDescriptorTypeUuid = 3;

// Figure 193.
struct ErrorInformation {
  uint64_t error_count;
  uint16_t submission_queue;
  uint16_t command_id;
  uint16_t status;  // as in the completion, the phase left out
  uint16_t parameter_location;
  uint64_t lba;
  uint32_t namespace_id;
  uint8_t reserved28[36];
};
static_assert(sizeof(ErrorInformation) == 64);

// A number of 16 bytes, of which 8 are used.
struct WideCounter {
  uint64_t low;
  uint64_t high;
};

// Figure 194. The counters are 16 bytes apart and begin at byte 32.
struct SmartHealth {
  uint8_t critical_warning;
  uint8_t temperature[2];  // kelvin
  uint8_t available_spare;
  uint8_t available_spare_threshold;
  uint8_t percentage_used;
  uint8_t reserved6[26];
  WideCounter data_units_read;  // thousands of 512 bytes, rounded up
  WideCounter data_units_written;
  WideCounter host_reads;
  WideCounter host_writes;
  WideCounter busy_minutes;
  WideCounter power_cycles;
  WideCounter power_on_hours;
  WideCounter unsafe_shutdowns;
  WideCounter media_errors;
  WideCounter error_log_entries;
  uint8_t reserved192[320];
};
static_assert(offsetof(SmartHealth, error_log_entries) == 176);
static_assert(sizeof(SmartHealth) == 512);

// Figure 195.
struct FirmwareSlots {
  uint8_t active;
  uint8_t reserved1[7];
  char revision[7][8];
  uint8_t reserved64[448];
};
static_assert(sizeof(FirmwareSlots) == 512);

// Figure 198.
struct CommandEffects {
  uint32_t admin[256];
  uint32_t io[256];
  uint8_t reserved2048[2048];
};
static_assert(sizeof(CommandEffects) == kDataPageSize);

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_DATA_PAGES_H_
