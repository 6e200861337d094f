#include "tools/daemon/remote/client_settings.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/daemon/errors/errors.h"

namespace tools::daemon::remote {
namespace {

using compat::settings::DeviceSettings;
using compat::settings::Parsed;
using compat::settings::Settings;
using vfio::compat::v1::OpenClientRequest;

constexpr int kMaxDevices = 16;
constexpr uint64_t kDefaultDisk = uint64_t{16} << 20;
constexpr uint64_t kMaxDisk = uint64_t{1} << 30;
constexpr uint32_t kDefaultIdle = 60;
constexpr uint32_t kMaxIdle = 3600;
constexpr char kDefaultDevice[] = "nvme,addr=0000:00:03.0";

absl::StatusOr<DeviceSettings> ReadDevice(const std::string& text) {
  // Each controller is given its disk later; one that is named is then named twice, which is
  // refused. Other devices have none.
  const bool has_disk = text.substr(0, text.find(',')) == "nvme";
  Parsed<DeviceSettings> device =
      compat::settings::ParseDevice(has_disk ? text + ",image=/" : text);
  if (!device.ok()) return InvalidField("devices", device.message());
  return std::move(*device);
}

absl::Status ReadDevices(const OpenClientRequest& request, Settings& settings) {
  if (request.devices_size() > kMaxDevices) return InvalidField("devices", "more than 16");
  for (const std::string& text : request.devices()) {
    absl::StatusOr<DeviceSettings> device = ReadDevice(text);
    if (!device.ok()) return device.status();
    settings.devices.push_back(*std::move(device));
  }
  if (settings.devices.empty()) settings.devices.push_back(*ReadDevice(kDefaultDevice));
  std::string conflict = compat::settings::AssignGroups(settings.devices);
  if (conflict.empty()) conflict = compat::settings::AssignIommus(settings);
  return conflict.empty() ? absl::OkStatus() : InvalidField("devices", conflict);
}

template <typename T>
absl::Status Read(const std::string& text, Parsed<T> (*parse)(std::string_view),
                  absl::string_view field, T& value) {
  if (text.empty()) return absl::OkStatus();
  const Parsed<T> parsed = parse(text);
  if (!parsed.ok()) return InvalidField(field, parsed.message());
  value = *parsed;
  return absl::OkStatus();
}

absl::Status ReadContainer(const OpenClientRequest& request, Settings& settings) {
  settings.container = compat::settings::ContainerTypes::kBoth;
  absl::Status status = Read(request.container(), compat::settings::ParseContainerTypes,
                             "container", settings.container);
  if (!status.ok()) return status;
  status =
      Read(request.platform(), compat::settings::ParsePowerPlatform, "platform", settings.platform);
  if (!status.ok()) return status;
  const std::string conflict = compat::settings::ContainerConflict(settings);
  return conflict.empty() ? absl::OkStatus() : InvalidField("platform", conflict);
}

}  // namespace

absl::StatusOr<ClientSettings> ReadSettings(const OpenClientRequest& request) {
  ClientSettings settings;
  absl::Status status = ReadDevices(request, settings.host);
  if (status.ok()) status = ReadContainer(request, settings.host);
  if (!status.ok()) return status;
  settings.disk_bytes = request.disk_bytes() != 0 ? request.disk_bytes() : kDefaultDisk;
  for (const DeviceSettings& device : settings.host.devices) {
    if (settings.disk_bytes > kMaxDisk || settings.disk_bytes % device.block_size != 0) {
      return InvalidField("disk_bytes",
                          absl::StrCat(settings.disk_bytes, ": a multiple of ", device.block_size,
                                       " is wanted, at most ", kMaxDisk));
    }
  }
  const uint32_t idle = request.idle_seconds() != 0 ? request.idle_seconds() : kDefaultIdle;
  if (idle > kMaxIdle) return InvalidField("idle_seconds", absl::StrCat(idle, "; at most 3600"));
  settings.idle = std::chrono::seconds(idle);
  return settings;
}

}  // namespace tools::daemon::remote
