#include "compat/settings/settings.h"

#include <sys/un.h>

#include <algorithm>
#include <iterator>

#include "compat/settings/text.h"

namespace compat::settings {
namespace {

template <typename Value>
struct Named {
  std::string_view name;
  Value value;
};

constexpr Named<Backend> kBackends[] = {
    {"auto", Backend::kAuto}, {"kernel", Backend::kKernel}, {"soft", Backend::kSoft}};

constexpr Named<ContainerTypes> kContainerTypes[] = {{"type1", ContainerTypes::kType1},
                                                     {"spapr", ContainerTypes::kSpapr},
                                                     {"both", ContainerTypes::kBoth}};

constexpr Named<PowerPlatform> kPowerPlatforms[] = {{"powernv", PowerPlatform::kPowerNv},
                                                    {"pseries", PowerPlatform::kPSeries}};

constexpr Named<Iommu> kIommus[] = {{"auto", Iommu::kAuto},
                                    {"x86", Iommu::kX86},
                                    {"power", Iommu::kPower},
                                    {"sign-extended", Iommu::kSignExtended}};

constexpr Named<LogLevel> kLogLevels[] = {{"error", LogLevel::kError},
                                          {"warning", LogLevel::kWarning},
                                          {"info", LogLevel::kInfo},
                                          {"debug", LogLevel::kDebug}};

constexpr Named<DeviceKind> kDeviceKinds[] = {{"nvme", DeviceKind::kNvme},
                                              {"dma", DeviceKind::kDma}};

template <typename Value, size_t kCount>
Parsed<Value> FindByName(const Named<Value> (&all)[kCount], std::string_view text,
                         std::string_view what) {
  std::string names;
  for (const Named<Value>& each : all) {
    if (each.name == text) return each.value;
    if (!names.empty()) names += &each == std::end(all) - 1 ? " or " : ", ";
    names += each.name;
  }
  return Refusal{Quoted(text) + " is not a " + std::string(what) + ": expected " + names};
}

template <typename Value, size_t kCount>
std::string_view FindByValue(const Named<Value> (&all)[kCount], Value value) {
  for (const Named<Value>& each : all) {
    if (each.value == value) return each.name;
  }
  return "";
}

Parsed<uint32_t> ParseGroup(std::string_view text) {
  const Parsed<uint64_t> number = ParseNumber(text);
  // The kernel numbers groups with an int.
  if (!number.ok() || *number > INT32_MAX) {
    return Refusal{"group " + Quoted(text) + " is not a number from 0 to 2147483647"};
  }
  return static_cast<uint32_t>(*number);
}

std::string SetPasidBits(DeviceSettings& device, std::string_view value) {
  const Parsed<uint64_t> bits = ParseNumber(value);
  if (!bits.ok() || *bits == 0 || *bits > kMaxPasidBits) {
    return "pasid_bits " + Quoted(value) + " is not a number from 1 to 20";
  }
  device.pasid_bits = static_cast<uint8_t>(*bits);
  return "";
}

// Sets the option `name` of `device`. Returns why it cannot be, or an empty string.
std::string SetDeviceOption(DeviceSettings& device, std::string_view name, std::string_view value) {
  if (name == "addr") {
    const Parsed<PciAddress> address = ParsePciAddress(value);
    device.address = *address;
    return address.message();
  }
  const bool is_nvme = device.kind == DeviceKind::kNvme;
  if (is_nvme && name == "image") {
    device.image = value;
    return value.empty() ? "image= names no file" : "";
  }
  if (name == "group") {
    const Parsed<uint32_t> group = ParseGroup(value);
    device.group = *group;
    return group.message();
  }
  if (is_nvme && name == "block_size") {
    if (value != "512" && value != "4096") {
      return "block_size " + Quoted(value) + " is neither 512 nor 4096";
    }
    device.block_size = value == "512" ? 512 : 4096;
    return "";
  }
  if (!is_nvme && name == "pasid_bits") return SetPasidBits(device, value);
  if (name == "iommu") {
    const Parsed<Iommu> iommu = ParseIommu(value);
    device.iommu = *iommu;
    return iommu.message();
  }
  return "unknown option " + Quoted(name) + ": expected addr, " +
         (is_nvme ? "image, group, block_size or iommu" : "group, pasid_bits or iommu");
}

}  // namespace

Parsed<Backend> ParseBackend(std::string_view text) {
  return FindByName(kBackends, text, "backend");
}

Parsed<ContainerTypes> ParseContainerTypes(std::string_view text) {
  return FindByName(kContainerTypes, text, "container type");
}

Parsed<PowerPlatform> ParsePowerPlatform(std::string_view text) {
  return FindByName(kPowerPlatforms, text, "POWER platform");
}

Parsed<Iommu> ParseIommu(std::string_view text) {
  return FindByName(kIommus, text, "kind of IOMMU");
}

Parsed<uint64_t> ParseWindowStart(std::string_view text) {
  Parsed<uint64_t> start = ParseNumber(text);
  if (start.ok() && *start != 0 && *start % kTcePageSize == 0) return start;
  return Refusal{"window start " + Quoted(text) +
                 " is not a multiple of 4096 above 0 (decimal or 0x.., with K, M, G or T)"};
}

Parsed<std::string> ParseSocket(std::string_view text) {
  if (!text.starts_with('/')) return Refusal{Quoted(text) + " is not an absolute path"};
  if (text.size() >= sizeof(sockaddr_un::sun_path)) {
    return Refusal{Quoted(text) + " is longer than a socket's path may be"};
  }
  return std::string(text);
}

Parsed<LogLevel> ParseLogLevel(std::string_view text) {
  return FindByName(kLogLevels, text, "log level");
}

Parsed<DeviceSettings> ParseDevice(std::string_view text) {
  const auto refuse = [text](std::string_view why) {
    return Refusal{"device " + Quoted(text) + ": " + std::string(why)};
  };
  const std::vector<std::string> words = SplitEscaped(text, ',');
  const std::string_view kind_name = words.empty() ? std::string_view() : words.front();
  const Parsed<DeviceKind> kind = FindByName(kDeviceKinds, kind_name, "kind of device");
  if (!kind.ok()) return refuse("unknown kind " + Quoted(kind_name) + ": expected nvme or dma");
  DeviceSettings device;
  device.kind = *kind;
  std::vector<std::string_view> seen;
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      return refuse(Quoted(word) + " is not of the form OPTION=VALUE");
    }
    const std::string_view name = word.substr(0, equals);
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return refuse("option " + Quoted(name) + " is given twice");
    }
    seen.push_back(name);
    const std::string problem = SetDeviceOption(device, name, word.substr(equals + 1));
    if (!problem.empty()) return refuse(problem);
  }
  for (const std::string_view needed : {"addr", "image"}) {
    if (needed == "image" && device.kind != DeviceKind::kNvme) continue;
    if (std::find(seen.begin(), seen.end(), needed) == seen.end()) {
      return refuse("option " + Quoted(needed) + " is missing");
    }
  }
  return device;
}

Parsed<FaultRange> ParseFault(std::string_view text) {
  const auto refuse = [text](std::string_view why) {
    return Refusal{"fault " + Quoted(text) + ": " + std::string(why)};
  };
  constexpr std::string_view kPrefix = "iova=";
  const size_t dash = text.find('-');
  if (!text.starts_with(kPrefix) || dash == std::string_view::npos) {
    return refuse("expected iova=FIRST-LAST");
  }
  const Parsed<uint64_t> first = ParseNumber(text.substr(kPrefix.size(), dash - kPrefix.size()));
  if (!first.ok()) return refuse(first.message());
  const Parsed<uint64_t> last = ParseNumber(text.substr(dash + 1));
  if (!last.ok()) return refuse(last.message());
  if (*first > *last) return refuse("the first IOVA is above the last one");
  return FaultRange{*first, *last};
}

std::string_view ToString(Backend backend) { return FindByValue(kBackends, backend); }

std::string_view ToString(ContainerTypes types) { return FindByValue(kContainerTypes, types); }

std::string_view ToString(PowerPlatform platform) { return FindByValue(kPowerPlatforms, platform); }

std::string_view ToString(Iommu iommu) { return FindByValue(kIommus, iommu); }

std::string_view ToString(LogLevel level) { return FindByValue(kLogLevels, level); }

std::string ToString(const DeviceSettings& device) {
  std::string text(FindByValue(kDeviceKinds, device.kind));
  text += ",addr=" + device.address.ToString();
  if (device.kind == DeviceKind::kNvme) text += ",image=" + Escape(device.image, ',');
  if (device.group != kAnyGroup) text += ",group=" + std::to_string(device.group);
  if (device.block_size != kDefaultBlockSize) {
    text += ",block_size=" + std::to_string(device.block_size);
  }
  if (device.pasid_bits != 0) text += ",pasid_bits=" + std::to_string(device.pasid_bits);
  if (device.iommu != Iommu::kAuto) text += ",iommu=" + std::string(ToString(device.iommu));
  return text;
}

std::string ToString(const FaultRange& range) {
  return "iova=" + HexNumber(range.first) + "-" + HexNumber(range.last);
}

Backend ResolveBackend(const Settings& settings) {
  if (settings.backend != Backend::kAuto) return settings.backend;
  return settings.devices.empty() && settings.host.empty() ? Backend::kKernel : Backend::kSoft;
}

std::string BackendConflict(const Settings& settings) {
  if (ResolveBackend(settings) != Backend::kKernel) return "";
  if (!settings.devices.empty()) {
    return "emulated devices need the backend soft (or auto): the kernel has the machine's own";
  }
  if (!settings.faults.empty()) {
    return "ranges that are refused need the backend soft: the kernel's IOMMU takes none";
  }
  if (settings.iommu != Iommu::kAuto) {
    return "the IOMMU " + std::string(ToString(settings.iommu)) +
           " needs the backend soft: the kernel has the machine's own";
  }
  return "";
}

std::string ContainerConflict(const Settings& settings) {
  if (settings.container != ContainerTypes::kType1) return "";
  if (settings.platform != Settings().platform) {
    return "the platform " + std::string(ToString(settings.platform)) +
           " needs the container spapr or both: type 1 containers are alike on all";
  }
  if (settings.tce64_start) {
    return "the window start " + HexNumber(*settings.tce64_start) +
           " needs the container spapr or both: type 1 containers have no windows";
  }
  return "";
}

std::string AssignIommus(Settings& settings) {
  for (DeviceSettings& device : settings.devices) {
    if (device.iommu == Iommu::kAuto) device.iommu = settings.iommu;
  }
  for (const DeviceSettings& device : settings.devices) {
    for (const DeviceSettings& other : settings.devices) {
      if (device.group != other.group || device.iommu == other.iommu) continue;
      return "the devices " + device.address.ToString() + " and " + other.address.ToString() +
             " of group " + std::to_string(device.group) + " are behind different IOMMUs";
    }
  }
  return "";
}

std::string AssignGroups(std::vector<DeviceSettings>& devices) {
  for (size_t i = 0; i < devices.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (devices[i].address == devices[k].address) {
        return "two devices have the address " + devices[i].address.ToString();
      }
    }
  }
  const auto taken = [&devices](uint32_t group) {
    return std::any_of(devices.begin(), devices.end(),
                       [group](const DeviceSettings& device) { return device.group == group; });
  };
  uint32_t next = 0;
  for (DeviceSettings& device : devices) {
    if (device.group != kAnyGroup) continue;
    while (taken(next)) ++next;
    device.group = next;
  }
  return "";
}

}  // namespace compat::settings
