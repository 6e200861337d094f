#include "compat/preload/session.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <span>

#include "compat/preload/control.h"
#include "compat/preload/log.h"
#include "compat/preload/paths/kernel_groups.h"
#include "compat/preload/process_host.h"
#include "compat/settings/environment.h"
#include "compat/soft/soft_platform.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/soft_device.h"

namespace compat::preload {
namespace {

// The host's devices as the file system view wants them.
class HostInventory final : public vfs::Inventory {
 public:
  size_t device_count() const override { return OpenedHost()->state().device_count; }

  vfs::DeviceView device(size_t index) const override {
    const vfio::Host& host = *OpenedHost();
    const vfio::DeviceState& state = host.state().devices[index];
    const ioas::soft::PciAddress& address = host.arena().Get(state.soft)->address;
    vfs::DeviceView view = {};
    view.domain = address.domain;
    view.bus = address.bus;
    view.device = address.device;
    view.function = address.function;
    view.group = host.state().groups[state.group].number;
    if (const ioas::soft::SoftDevice* device = Device(index); device != nullptr) {
      Describe(*device, view);
    }
    return view;
  }

  size_t ReadConfig(size_t index, std::span<std::byte> data) const override {
    ioas::soft::SoftDevice* device = Device(index);
    if (device == nullptr) return 0;
    const size_t size = std::min<size_t>(data.size(), device->config_size());
    device->ReadConfig(0, data.first(size));
    return size;
  }

 private:
  static ioas::soft::SoftDevice* Device(size_t index) {
    // Only a software host has devices of its own to show.
    auto& platform = static_cast<soft::SoftPlatform&>(OpenedHost()->platform());
    return platform.device(static_cast<uint32_t>(index));
  }
  static void Describe(const ioas::soft::SoftDevice& device, vfs::DeviceView& view) {
    const ioas::soft::DeviceIdentity& identity = device.identity();
    view.vendor_id = identity.vendor_id;
    view.device_id = identity.device_id;
    view.subsystem_vendor_id = identity.subsystem_vendor_id;
    view.subsystem_id = identity.subsystem_id;
    view.class_code = identity.class_code;
    view.revision_id = identity.revision_id;
    for (const ioas::soft::BarLayout& bar : device.bars()) {
      view.bar_sizes[bar.index] = bar.size;
      view.bar_is_64bit[bar.index] = bar.is_64bit;
    }
  }
};

void WriteGroupPath(uint32_t number, std::span<char> out) {
  if (UsesKernel()) return WriteKernelGroupPath(number, out);
  std::snprintf(out.data(), out.size(), "/dev/vfio/%u", number);
}

// Says, once, why there is nothing to be had on this machine.
void WarnWithoutIommu() {
  static std::atomic<bool> looked{false};
  if (looked.exchange(true, std::memory_order_relaxed)) return;
  const long result = ioas::SystemCall(SYS_faccessat, AT_FDCWD, "/dev/iommu", R_OK | W_OK);
  if (result == 0) return;
  Log(settings::LogLevel::kWarning,
      "/dev/iommu cannot be opened (errno %d): %s; vfio-compat doctor says more. For emulated "
      "devices "
      "instead, name some in VFIO_COMPAT_DEVICES",
      static_cast<int>(-result),
      result == -ENOENT ? "the kernel has no iommufd, or its module is not loaded"
                        : "this user may not");
}

// What open() of one of the library's nodes returns.
int OpenAnswer(const char* what, const ioas::Result<int>& result) {
  if (result.ok()) return *result;
  Log(settings::LogLevel::kDebug, "open of %s: errno %d: %s", what, result.error().code,
      result.error().reason);
  return -result.error().code;
}

// What opening answers where there is no host: that there is no such file, or what kept the library
// from its host.
int NoHost() { return HostProblem() != 0 ? -HostProblem() : -ENOENT; }

}  // namespace

bool Configured() {
  static std::atomic<int> configured{-1};
  int known = configured.load(std::memory_order_relaxed);
  if (known < 0) {
    // Before libc has set itself up there is no environment to read: nothing is known yet.
    if (environ == nullptr) return false;
    known = settings::EnvironmentAsksForHost() ? 1 : 0;
    configured.store(known, std::memory_order_relaxed);
  }
  return known != 0;
}

const vfs::Inventory* EmulatedDevices() {
  static const HostInventory kInventory;
  if (UsesKernel()) {
    WarnWithoutIommu();
    return &KernelGroups();
  }
  return ConfiguredHost() != nullptr ? &kInventory : nullptr;
}

int OpenContainer(int flags) {
  vfio::Host* host = ConfiguredHost();
  if (host == nullptr) return NoHost();
  ContinueSession();
  return OpenAnswer("a container", host->OpenContainer((flags & O_CLOEXEC) != 0));
}

int OpenGroup(uint32_t group, int flags) {
  vfio::Host* host = ConfiguredHost();
  if (host == nullptr) return NoHost();
  ContinueSession();
  return OpenAnswer("a group", host->OpenGroup(group, (flags & O_CLOEXEC) != 0));
}

int OpenIommufd(int flags) {
  vfio::Host* host = ConfiguredHost();
  if (host == nullptr) return NoHost();
  ContinueSession();
  return OpenAnswer("an iommufd", host->OpenIommufd((flags & O_CLOEXEC) != 0));
}

int OpenCdev(uint32_t device, int flags) {
  vfio::Host* host = ConfiguredHost();
  if (host == nullptr) return NoHost();
  ContinueSession();
  return OpenAnswer("a device", host->OpenCdev(device, (flags & O_CLOEXEC) != 0));
}

bool DescriptorPath(int fd, char* path, size_t size) {
  const uint32_t slot = VerifiedSlotOf(fd);
  if (slot == 0) return false;
  const vfio::Host& host = *OpenedHost();
  const vfio::FileMeaning file = host.files().slot(slot).Load();
  switch (file.kind) {
    case decode::DescriptorKind::kContainer:
      std::snprintf(path, size, "/dev/vfio/vfio");
      return true;
    case decode::DescriptorKind::kGroup:
      WriteGroupPath(host.state().groups[file.object].number, {path, size});
      return true;
    case decode::DescriptorKind::kIommufd:
      std::snprintf(path, size, "/dev/iommu");
      return true;
    case decode::DescriptorKind::kCdev:
      std::snprintf(path, size, "/dev/vfio/devices/vfio%u", file.object);
      return true;
    case decode::DescriptorKind::kEvents:
      // The kernel tells page requests from events here.
      std::snprintf(path, size, "anon_inode:[iommufd-pgfault]");
      return true;
    default:
      std::snprintf(path, size, "anon_inode:[vfio-device]");
      return true;
  }
}

}  // namespace compat::preload
