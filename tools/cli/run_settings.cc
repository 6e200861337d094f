#include "tools/cli/run_settings.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "compat/session/channel.h"
#include "compat/settings/text.h"
#include "tools/cli/iommu_node.h"

namespace tools::cli {
namespace {

using compat::settings::DeviceSettings;
using compat::settings::Parsed;
using compat::settings::Quoted;
using compat::settings::Settings;

Failure Usage(const std::string& message) { return {kUsage, "run: " + message}; }

template <typename T, typename Field>
Failure Read(const std::string& text, Parsed<T> (*parse)(std::string_view), Field& value) {
  if (text.empty()) return {};
  Parsed<T> parsed = parse(text);
  if (!parsed.ok()) return Usage(parsed.message());
  value = std::move(*parsed);
  return {};
}

template <typename T>
Failure ReadAll(const std::vector<std::string>& texts, Parsed<T> (*parse)(std::string_view),
                std::vector<T>& values) {
  for (const std::string& text : texts) {
    Parsed<T> parsed = parse(text);
    if (!parsed.ok()) return Usage(parsed.message());
    values.push_back(std::move(*parsed));
  }
  return {};
}

// Whether `fd` is something that an image can be.
bool IsDisk(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

Failure CheckImage(DeviceSettings& device) {
  const auto refuse = [&device](const std::string& why) {
    return Usage("image " + Quoted(device.image) + ": " + why);
  };
  // O_NONBLOCK: a FIFO would wait for its other end.
  const int fd = open(device.image.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return refuse(std::strerror(errno));
  const bool is_disk = IsDisk(fd);
  const off_t size = lseek(fd, 0, SEEK_END);
  close(fd);
  if (!is_disk) return refuse("is neither a regular file nor a block device");
  if (size < static_cast<off_t>(device.block_size)) return refuse("is smaller than one block");
  char* const absolute = realpath(device.image.c_str(), nullptr);
  if (absolute == nullptr) return refuse(std::strerror(errno));
  device.image = absolute;
  std::free(absolute);
  return {};
}

// Checks that the backend is to be had, and with these devices.
Failure CheckBackend(const Settings& settings) {
  const std::string conflict = compat::settings::BackendConflict(settings);
  if (!conflict.empty()) return Usage(conflict);
  if (ResolveBackend(settings) != compat::settings::Backend::kKernel) return {};
  const IommuNode node = TryIommuNode("");
  if (node.opens) return {};
  return Usage(std::string(kIommuNode) + ": " + node.finding + " (" + node.remedy +
               "); for the software host instead, name a device: --device "
               "nvme,addr=0000:00:05.0,image=FILE");
}

// Reads what containers are like.
Failure ReadContainer(const RunOptions& options, Settings& settings) {
  using compat::settings::ParseContainerTypes;
  using compat::settings::ParsePowerPlatform;
  using compat::settings::ParseWindowStart;
  Failure failure = Read(options.container, ParseContainerTypes, settings.container);
  if (!failure) failure = Read(options.platform, ParsePowerPlatform, settings.platform);
  if (!failure) failure = Read(options.tce64_start, ParseWindowStart, settings.tce64_start);
  if (failure) return failure;
  const std::string conflict = compat::settings::ContainerConflict(settings);
  return conflict.empty() ? Failure{} : Usage(conflict);
}

// Where the daemon is to be looked for. Without the option, where daemons listen, on a machine that
// is set up for one.
Failure ReadControl(const std::string& text, std::string& control) {
  if (text == "none") return {};
  if (!text.empty()) return Read(text, compat::settings::ParseSocket, control);
  const std::string_view usual = compat::session::kDefaultSocket;
  const std::string folder(usual.substr(0, usual.rfind('/')));
  if (access(folder.c_str(), F_OK) == 0) control = usual;
  return {};
}

}  // namespace

Failure ReadRunSettings(const RunOptions& options, Settings& settings) {
  using compat::settings::ParseBackend;
  using compat::settings::ParseDevice;
  using compat::settings::ParseFault;
  using compat::settings::ParseLogLevel;
  Failure failure = Read(options.backend, ParseBackend, settings.backend);
  if (!failure) failure = Read(options.log_level, ParseLogLevel, settings.log_level);
  if (!failure) failure = ReadAll(options.devices, ParseDevice, settings.devices);
  if (!failure) failure = ReadAll(options.faults, ParseFault, settings.faults);
  if (!failure) failure = Read(options.iommu, compat::settings::ParseIommu, settings.iommu);
  if (!failure) failure = ReadContainer(options, settings);
  if (!failure) failure = ReadControl(options.control, settings.control);
  if (failure) return failure;

  std::string conflict = compat::settings::AssignGroups(settings.devices);
  if (conflict.empty()) conflict = compat::settings::AssignIommus(settings);
  if (!conflict.empty()) return Usage(conflict);
  failure = CheckBackend(settings);
  if (failure) return failure;
  for (DeviceSettings& device : settings.devices) {
    if (device.kind != compat::settings::DeviceKind::kNvme) continue;
    if (Failure bad_image = CheckImage(device)) return bad_image;
  }
  return {};
}

}  // namespace tools::cli
