#include "compat/kernel/kernel_platform.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "compat/abi/iommufd.h"
#include "compat/kernel/find_host.h"
#include "compat/kernel/legacy_errors.h"
#include "compat/sysfs/files.h"
#include "compat/vfio/device_name.h"
#include "ioas/kernel/iommufd.h"

namespace compat::kernel {
namespace {

constexpr char kIommuNode[] = "/dev/iommu";
// In an Identity's number: it is a device's index, not a slot.
constexpr uint32_t kIsDevice = 1u << 20;
static_assert(vfio::kSlotsPerChunk * vfio::kMaxSlotChunks <= kIsDevice);

// Whether GET_DEVICE_FD's `name` means `device`: PCI devices take options behind their address, all
// others' names match as they are (vfio_device_get_from_name in drivers/vfio/group.c).
ioas::Result<bool> Matches(std::string_view name, const sysfs::GroupDevice& device,
                           const char* sysfs_root) {
  const std::string_view own = device.name;
  const sysfs::Path pci("%s/sys/bus/pci/devices/%s", sysfs_root, device.name);
  if (!sysfs::Exists(pci)) return name == own;
  const bool takes_token = sysfs::Exists(sysfs::Path("%s/physfn", pci.c_str())) ||
                           sysfs::Exists(sysfs::Path("%s/sriov_totalvfs", pci.c_str()));
  return vfio::MatchDeviceName(name, own, takes_token);
}

// An entry of the table of devices that stands for none.
constexpr uint32_t kNoGroup = ~0u;

}  // namespace

// --- The host ---

ioas::Status KernelPlatform::Create(vfio::Host& host, const settings::Settings& /*settings*/) {
  ioas::Arena arena = host.arena();
  const auto state = arena.New<vfio::KernelHost>();
  if (!state.ok()) return state.error();
  host.state().kernel = *state;
  ioas::ProcessTable(&arena.Get(*state)->processes).Initialize();
  return Join(host);
}

ioas::Status KernelPlatform::Join(vfio::Host& host) {
  host_ = &host;
  if (!host.state().kernel) return ioas::Error{EPROTO, "the host is one of emulated devices"};
  bars_.SetHost(host);
  inode_ = InodeOf(calls_, host.arena_fd());
  return {};
}

ioas::ProcessTable KernelPlatform::processes() {
  return ioas::ProcessTable(&host_->arena().Get(host_->state().kernel)->processes);
}

vfio::KernelDevice& KernelPlatform::detail(uint32_t device) const {
  return *host_->arena().Get(host_->state().devices[device].kernel);
}

Identity KernelPlatform::IdentityOfDevice(uint32_t device) const {
  return {inode_, kIsDevice | device};
}

long KernelPlatform::OpenCdev(uint32_t cdev) const {
  char path[40];
  std::snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", cdev);
  return calls_(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
}

// --- Files ---

ioas::Result<int> KernelPlatform::OpenContainerFile(uint32_t slot, vfio::ContainerState& container,
                                                    bool close_on_exec) {
  const long fd =
      calls_(SYS_openat, AT_FDCWD, kIommuNode, O_RDWR | (close_on_exec ? O_CLOEXEC : 0), 0);
  if (fd < 0) return OpenError(fd, "/dev/iommu cannot be opened");
  ioas::kernel::Iommufd iommufd(calls_, static_cast<int>(fd));
  // Type 1 counts locked memory by process. Those who may not ask for it get counting by user.
  (void)iommufd.SetOption(abi::iommufd::kOptionRlimitMode, 0, 1);
  const ioas::Result<uint32_t> made = iommufd.AllocIoas();
  ioas::Status ready = made.ok() ? iommufd.SetCompatIoas(*made) : ioas::Status(made.error());
  if (ready.ok()) ready = HoldIdentity(calls_, static_cast<int>(fd), IdentityOfSlot(slot));
  if (!ready.ok()) {
    calls_(SYS_close, fd);
    return ioas::Error{ENOMEM, ready.error().reason};
  }
  container.ioas = *made;
  container.has_stale_mappings = 0;
  container.tables = {};
  container.registry = {};
  return static_cast<int>(fd);
}

ioas::Status KernelPlatform::AddGuards(uint32_t slot, uint32_t group, GroupContents& contents) {
  const vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if (state.devices[i].group != group) continue;
    const long fd = OpenCdev(detail(i).cdev);
    // EINVAL: its group is open as a group, on a kernel that has both.
    if (fd == -EINVAL || fd == -EBUSY) return ioas::Error{EBUSY, "the group is open elsewhere"};
    if (fd < 0) return OpenError(fd, "a device's node cannot be opened");
    const int guard = static_cast<int>(fd);
    ioas::Status held = HoldGuard(calls_, guard);
    if (held.ok() && IsAnyIdentityHeld(calls_, guard)) {
      held = ioas::Error{EBUSY, "another program has a device of the group open"};
    }
    if (held.ok() && !HoldIdentity(calls_, guard, IdentityOfSlot(slot)).ok()) {
      held = ioas::Error{ENOMEM, "the group's file cannot be told from others"};
    }
    if (held.ok()) held = contents.AddGuard(guard);
    if (!held.ok()) {
      calls_(SYS_close, guard);
      return held;
    }
  }
  return {};
}

ioas::Result<int> KernelPlatform::OpenGroupFile(uint32_t slot, uint32_t group, bool close_on_exec) {
  sysfs::Group found;
  if (!groups_.Read(host_->state().groups[group].number, found)) {
    return ioas::Error{ENOENT, "the group has no VFIO device any more"};
  }
  IOAS_RETURN_IF_ERROR(EnterDevices(group, found));
  for (uint32_t i = 0; i < host_->state().device_count; ++i) {
    if (host_->state().devices[i].group == group) detail(i).kvm_users = 0;
  }
  GroupContents contents(calls_);
  IOAS_RETURN_IF_ERROR(AddGuards(slot, group, contents));
  return contents.Make(host_->arena_fd(), inode_, slot, close_on_exec);
}

ioas::Result<int> KernelPlatform::DuplicateBound(uint32_t device,
                                                 const vfio::ContainerFile& container) {
  const vfio::GroupState& group = host_->state().groups[host_->state().devices[device].group];
  const int group_fd = host_->parts().descriptors->DescriptorOf(group.slot);
  GroupContents contents(calls_);
  IOAS_RETURN_IF_ERROR(contents.Read(group_fd));
  if (contents.BoundDescriptor(device) < 0) {
    // It was plugged after SET_IOMMU, or closed by all who had it.
    IOAS_RETURN_IF_ERROR(BindDevice(device, container, contents));
    IOAS_RETURN_IF_ERROR(contents.Replace(group_fd));
  }
  const long fd = calls_(SYS_fcntl, contents.BoundDescriptor(device), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return ioas::Error{EMFILE, "no descriptor is free"};
  return static_cast<int>(fd);
}

ioas::Result<vfio::NewFile> KernelPlatform::OpenDeviceFile(uint32_t device,
                                                           const vfio::ContainerFile* container) {
  vfio::DeviceState& state = host_->state().devices[device];
  vfio::GroupState& group = host_->state().groups[state.group];
  const ioas::Result<int> duplicate = DuplicateBound(device, *container);
  if (!duplicate.ok()) return GetDeviceError(duplicate.error());
  long fd = *duplicate;
  // The lowest number that was free before the group's contents took some.
  if (const long lower = calls_(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0); lower >= 0) {
    calls_(SYS_close, std::max(fd, lower));
    fd = std::min(fd, lower);
  }
  if (detail(device).slot == 0) {
    const ioas::Result<uint32_t> slot =
        host_->files().Take(decode::DescriptorKind::kDevice, device);
    if (!slot.ok()) {
      calls_(SYS_close, fd);
      return slot.error();
    }
    detail(device).slot = *slot;
    ++state.opens;
    ++group.device_opens;
  }
  AddHolder(device);
  return vfio::NewFile{static_cast<int>(fd), detail(device).slot};
}

void KernelPlatform::AddHolder(uint32_t device) {
  const ioas::Result<uint32_t> process = processes().Register();
  if (!process.ok()) return;
  const ioas::ProcessIdentity self = processes().identity(*process);
  ioas::ProcessIdentity* free = nullptr;
  for (ioas::ProcessIdentity& holder : detail(device).holders) {
    if (holder == self) return;
    if (holder.pid == 0 || ioas::ProcessStartTime(holder.pid) != holder.start_time) free = &holder;
  }
  if (free != nullptr) *free = self;
}

void KernelPlatform::OnAdopted(uint32_t slot) {
  const vfio::FileMeaning file = host_->files().slot(slot).Load();
  if (file.kind == decode::DescriptorKind::kDevice) AddHolder(file.object);
}

bool KernelPlatform::IsDeviceHeld(uint32_t device) const {
  const vfio::KernelDevice& held = detail(device);
  if (host_->parts().descriptors->DescriptorOf(held.slot) >= 0) return true;
  const auto self = static_cast<pid_t>(calls_(SYS_getpid));
  return std::any_of(std::begin(held.holders), std::end(held.holders), [&](const auto& holder) {
    return holder.pid != 0 && holder.pid != self &&
           ioas::ProcessStartTime(holder.pid) == holder.start_time;
  });
}

bool KernelPlatform::IsGroupHeld(uint32_t slot, uint32_t group) const {
  const vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if (state.devices[i].group != group) continue;
    const long fd = OpenCdev(detail(i).cdev);
    // A device that was plugged out, with all that was open of it; in doubt it is there.
    if (fd == -ENOENT || fd == -ENXIO || fd == -ENODEV) continue;
    if (fd < 0) return true;
    const bool held = IsIdentityHeld(calls_, static_cast<int>(fd), IdentityOfSlot(slot));
    calls_(SYS_close, fd);
    if (held) return true;
  }
  return false;
}

bool KernelPlatform::IsOpen(uint32_t slot) const {
  const vfio::FileMeaning file = host_->files().slot(slot).Load();
  switch (file.kind) {
    case decode::DescriptorKind::kContainer: {
      const long fd = calls_(SYS_openat, AT_FDCWD, kIommuNode, O_RDWR | O_CLOEXEC, 0);
      if (fd < 0) return true;
      const bool held = IsIdentityHeld(calls_, static_cast<int>(fd), IdentityOfSlot(slot));
      calls_(SYS_close, fd);
      return held;
    }
    case decode::DescriptorKind::kGroup:
      return IsGroupHeld(slot, file.object);
    default:
      return IsDeviceHeld(file.object);
  }
}

ioas::Result<uint32_t> KernelPlatform::SlotOf(int fd) const {
  struct stat status = {};
  if (const long result = calls_(SYS_fstat, fd, &status); result < 0) {
    return ioas::Error{static_cast<int>(-result), "not an open descriptor"};
  }
  uint32_t slot = 0;
  if (S_ISSOCK(status.st_mode)) {
    const ioas::Result<GroupHeader> header = ReadGroupHeader(calls_, fd);
    if (!header.ok() && header.error().code != EBADF) return header.error();
    if (header.ok() && header->host == inode_) slot = header->slot;
  } else if (S_ISCHR(status.st_mode)) {
    const ioas::Result<Identity> identity = ReadIdentity(calls_, fd);
    if (!identity.ok()) return ioas::Error{ENOMEM, identity.error().reason};
    if (identity->host != inode_) return 0u;
    slot = identity->number;
    if ((slot & kIsDevice) != 0) {
      const uint32_t device = slot - kIsDevice;
      slot = device < host_->state().device_count ? detail(device).slot : 0;
    }
  }
  if (slot > host_->files().last_slot()) return 0u;
  return slot != 0 && host_->files().slot(slot).in_use != 0 ? slot : 0u;
}

// --- Groups and devices ---

void KernelPlatform::ForgetGroup(uint32_t group) {
  vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if (state.devices[i].group == group) state.devices[i].group = kNoGroup;
  }
}

ioas::Result<uint32_t> KernelPlatform::FindGroup(uint32_t number) {
  sysfs::Group found;
  if (!groups_.Read(number, found)) return ioas::Error{ENOENT, "there is no such group"};
  vfio::HostState& state = host_->state();
  uint32_t free = state.group_count;
  for (uint32_t i = 0; i < state.group_count; ++i) {
    const vfio::GroupState& group = state.groups[i];
    if (group.number == number) return i;
    // One that an operator froze stays known, so that it is frozen when it is opened again.
    const bool is_held = ErrorsOf(i).has(ioas::kHeld);
    if (group.slot == 0 && group.device_opens == 0 && !group.container && !is_held) free = i;
  }
  if (free == vfio::kMaxDevices) return ioas::Error{ENFILE, "the host has too many groups open"};
  if (free == state.group_count) ++state.group_count;
  ForgetGroup(free);
  ErrorsOf(free).freezes = 0;
  state.groups[free] = {
      .number = number, .slot = 0, .device_opens = 0, .container = {}, .context = 0, .turn = 0};
  return free;
}

ioas::Result<uint32_t> KernelPlatform::EnterDevice(uint32_t group,
                                                   const sysfs::GroupDevice& found) {
  vfio::HostState& state = host_->state();
  uint32_t free = state.device_count;
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if (state.devices[i].group == kNoGroup) free = i;
    if (state.devices[i].group == group && std::strcmp(detail(i).name, found.name) == 0) {
      detail(i).cdev = found.cdev;
      return i;
    }
  }
  if (free == vfio::kMaxDevices) return ioas::Error{ENOSPC, "the host has too many devices"};
  if (free == state.device_count) {
    ioas::Arena arena = host_->arena();
    const auto memory = arena.New<vfio::KernelDevice>();
    if (!memory.ok()) return memory.error();
    state.devices[free] = {.soft = {},
                           .kernel = *memory,
                           .group = kNoGroup,
                           .opens = 0,
                           .bound_slot = 0,
                           .context = 0,
                           .device_object = 0};
    ++state.device_count;
  }
  vfio::KernelDevice& entered = detail(free);
  entered = {};
  std::memcpy(entered.name, found.name, sizeof(entered.name));
  entered.cdev = found.cdev;
  state.devices[free].group = group;
  state.devices[free].opens = 0;
  return free;
}

ioas::Status KernelPlatform::EnterDevices(uint32_t group, const sysfs::Group& found) {
  // Those that have left VFIO's drivers since: their nodes' numbers are others' by now.
  vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    const bool is_there =
        std::any_of(found.devices.begin(), found.devices.end(), [&](const auto& device) {
          return device.has_cdev && std::strcmp(device.name, detail(i).name) == 0;
        });
    if (state.devices[i].group == group && state.devices[i].opens == 0 && !is_there) {
      state.devices[i].group = kNoGroup;
    }
  }
  for (const sysfs::GroupDevice& device : found.devices) {
    if (device.has_cdev) IOAS_RETURN_IF_ERROR(EnterDevice(group, device));
  }
  return {};
}

bool KernelPlatform::IsViable(uint32_t group) const {
  sysfs::Group found;
  return groups_.Read(host_->state().groups[group].number, found) && found.is_viable;
}

ioas::Result<uint32_t> KernelPlatform::FindDevice(uint32_t group, std::string_view name) {
  sysfs::Group found;
  if (groups_.Read(host_->state().groups[group].number, found)) {
    for (const sysfs::GroupDevice& device : found.devices) {
      if (!device.has_cdev) continue;
      const ioas::Result<bool> match = Matches(name, device, sysfs_root_);
      if (!match.ok()) return match.error();
      if (*match) return EnterDevice(group, device);
    }
  }
  return ioas::Error{ENODEV, "the group has no device of that name"};
}

void KernelPlatform::NameDevice(uint32_t device, std::span<char> name) const {
  std::snprintf(name.data(), name.size(), "%s", detail(device).name);
}

}  // namespace compat::kernel
