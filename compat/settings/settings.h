// What an operator asks for, the same from the command line's options and from the environment.
#ifndef COMPAT_SETTINGS_SETTINGS_H_
#define COMPAT_SETTINGS_SETTINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compat/settings/parsed.h"
#include "compat/settings/pci_address.h"

namespace compat::settings {

// Where a container's DMA goes.
enum class Backend {
  kAuto,    // the software IOMMU if devices are named, the kernel's otherwise
  kKernel,  // the kernel's IOMMU, by /dev/iommu, with the machine's own devices
  kSoft,    // the software IOMMU, with emulated devices
};

// Which containers a program can choose between with SET_IOMMU.
enum class ContainerTypes {
  kType1,  // VFIO_TYPE1_IOMMU and VFIO_TYPE1v2_IOMMU: most machines
  kSpapr,  // VFIO_SPAPR_TCE_IOMMU and VFIO_SPAPR_TCE_v2_IOMMU: POWER
  kBoth,
};

// The POWER machine that SPAPR TCE containers are like.
enum class PowerPlatform {
  kPowerNv,  // without a hypervisor
  kPSeries,  // a partition of one
};

// The IOMMU that emulated devices are behind.
enum class Iommu {
  kAuto,          // x86's, but windows of SPAPR TCE containers lie where POWER machines have them
  kX86,           // 39 bits from 0 on, and a hole for interrupts
  kPower,         // 2 GiB from 0 on, and what bit 59 selects
  kSignExtended,  // the lower and the upper half of what 48 bits, sign-extended, make
};

// What a SPAPR TCE window starts at a multiple of: its smallest page, in bytes.
inline constexpr uint64_t kTcePageSize = 4096;

// What is logged: everything up to and including the level.
enum class LogLevel { kError, kWarning, kInfo, kDebug };

// A device without a group of its own choice gets one from AssignGroups.
inline constexpr uint32_t kAnyGroup = UINT32_MAX;

inline constexpr uint32_t kDefaultBlockSize = 512;

// A PASID has no more (PCI Express, "PASID Extended Capability Structure").
inline constexpr uint64_t kMaxPasidBits = 20;

// What an emulated device is.
enum class DeviceKind {
  kNvme,  // an NVMe controller with one namespace
  kDma,   // a DMA engine, which may have PASIDs (ioas/soft/dma_engine/dma_engine.h)
};

struct DeviceSettings {
  PciAddress address;
  uint32_t group = kAnyGroup;               // its IOMMU group; several devices may share one
  std::string image;                        // of a controller: the file or block device it is on
  uint32_t block_size = kDefaultBlockSize;  // of the namespace, in bytes: 512 or 4096
  Iommu iommu = Iommu::kAuto;               // kAuto: what Settings says for all
  DeviceKind kind = DeviceKind::kNvme;
  uint8_t pasid_bits = 0;  // of a DMA engine: how many its PASIDs have, up to 20; 0: it has none
};

// IOVAs that the software IOMMU refuses to translate.
struct FaultRange {
  uint64_t first = 0;
  uint64_t last = 0;  // inclusive, not below first

  bool operator==(const FaultRange&) const = default;
};

struct Settings {
  Backend backend = Backend::kAuto;
  std::vector<DeviceSettings> devices;
  std::vector<FaultRange> faults;
  Iommu iommu = Iommu::kAuto;
  ContainerTypes container = ContainerTypes::kType1;
  PowerPlatform platform = PowerPlatform::kPowerNv;
  // The IOVA at which the second window of a SPAPR TCE container starts; nothing: the platform's.
  std::optional<uint64_t> tce64_start;
  LogLevel log_level = LogLevel::kWarning;
  std::string log_file;  // empty: standard error
  std::string host;      // file that holds the host, for all who name it; empty: one of one's own
  std::string control;   // the daemon's session socket; empty: no daemon is wanted
  bool summary = false;  // print what happened at the end
};

// Parses "auto", "kernel" or "soft".
Parsed<Backend> ParseBackend(std::string_view text);

// Parses "type1", "spapr" or "both".
Parsed<ContainerTypes> ParseContainerTypes(std::string_view text);

// Parses "powernv" or "pseries".
Parsed<PowerPlatform> ParsePowerPlatform(std::string_view text);

// Parses "auto", "x86", "power" or "sign-extended".
Parsed<Iommu> ParseIommu(std::string_view text);

// Parses where the second window starts: a multiple of kTcePageSize above 0, which is where the
// first one lies.
Parsed<uint64_t> ParseWindowStart(std::string_view text);

// Parses the path of a Unix socket: an absolute one of at most 107 bytes, as the kernel takes it.
Parsed<std::string> ParseSocket(std::string_view text);

// Parses "error", "warning", "info" or "debug".
Parsed<LogLevel> ParseLogLevel(std::string_view text);

// Parses "nvme,addr=0000:00:05.0,image=FILE[,group=N][,block_size=512|4096][,iommu=...]" or
// "dma,addr=0000:00:05.0[,group=N][,pasid_bits=1..20][,iommu=...]", with what ParseIommu takes. A
// doubled comma stands for a comma in a value. Refuses an unknown kind, an option that the kind
// does not have or that is given twice, and a device without address, or without image if it has
// one.
Parsed<DeviceSettings> ParseDevice(std::string_view text);

// Parses "iova=FIRST-LAST", both inclusive.
Parsed<FaultRange> ParseFault(std::string_view text);

// The inverses of the above.
std::string_view ToString(Backend backend);
std::string_view ToString(ContainerTypes types);
std::string_view ToString(PowerPlatform platform);
std::string_view ToString(Iommu iommu);
std::string_view ToString(LogLevel level);
std::string ToString(const DeviceSettings& device);
std::string ToString(const FaultRange& range);

// The backend that the settings choose, kKernel or kSoft: kAuto is kSoft where emulated devices, or
// a host that has some, are named.
Backend ResolveBackend(const Settings& settings);

// Why the settings do not go together with the backend that they choose (the kernel has no emulated
// devices and refuses no IOVAs of one's choice), or an empty string. One line.
std::string BackendConflict(const Settings& settings);

// Why the settings do not go together with the container types that they choose (type 1 containers
// have no TCE windows, whatever the machine), or an empty string. One line.
std::string ContainerConflict(const Settings& settings);

// Gives each device that has no IOMMU of its own choice the one of the settings. Needs groups.
// Returns why the devices cannot be had together (two of a group behind different IOMMUs), or an
// empty string.
std::string AssignIommus(Settings& settings);

// Gives each device that has no group the lowest number that no other device has. Returns why the
// devices cannot be had together (two at one address), or an empty string.
std::string AssignGroups(std::vector<DeviceSettings>& devices);

}  // namespace compat::settings

#endif  // COMPAT_SETTINGS_SETTINGS_H_
