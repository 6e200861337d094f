#include "compat/soft/soft_platform.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "compat/native/soft_iommu.h"
#include "compat/soft/calls.h"
#include "compat/vfio/device_name.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/devices.h"
#include "ioas/soft/event_file.h"

namespace compat::soft {
namespace {

using ioas::soft::SoftDevice;

// Room for "dddd:bb:dd.f" (a domain may need more digits) and its NUL.
constexpr size_t kPciAddressLength = 20;

// Writes `address` as the kernel does. Returns it, in `buffer`.
std::string_view FormatPciAddress(const ioas::soft::PciAddress& address,
                                  char (&buffer)[kPciAddressLength]) {
  const int length = std::snprintf(buffer, sizeof(buffer), "%04x:%02x:%02x.%x", address.domain,
                                   address.bus, address.device, address.function);
  return {buffer, static_cast<size_t>(length)};
}

ioas::soft::IommuProfile ProfileOf(settings::Iommu iommu) {
  switch (iommu) {
    case settings::Iommu::kX86:
      return ioas::soft::IommuProfile::kX86;
    case settings::Iommu::kPower:
      return ioas::soft::IommuProfile::kPower;
    case settings::Iommu::kSignExtended:
      return ioas::soft::IommuProfile::kSignExtended;
    default:
      return ioas::soft::IommuProfile::kAuto;
  }
}

uint32_t FindOrAddGroup(vfio::HostState& state, uint32_t number) {
  for (uint32_t i = 0; i < state.group_count; ++i) {
    if (state.groups[i].number == number) return i;
  }
  state.groups[state.group_count] = {
      .number = number, .slot = 0, .device_opens = 0, .container = {}, .context = 0, .turn = 0};
  return state.group_count++;
}

}  // namespace

SoftPlatform::~SoftPlatform() {
  for (const auto& held : devices_) {
    if (SoftDevice* device = held.load(); device != nullptr) device->Close();
  }
}

ioas::Status SoftPlatform::AddDevice(const settings::DeviceSettings& device) {
  const ioas::soft::PciAddress address = {static_cast<uint16_t>(device.address.domain),
                                          device.address.bus, device.address.device,
                                          device.address.function};
  char serial_number[16];
  std::snprintf(serial_number, sizeof(serial_number), "VC%08X", address.number());
  ioas::Arena arena = host_->arena();
  const auto made =
      device.kind == settings::DeviceKind::kDma
          ? ioas::soft::CreateDmaEngine(arena, soft(), {address, device.group, device.pasid_bits})
          : ioas::soft::CreateNvme(arena, soft(),
                                   {.address = address,
                                    .group = device.group,
                                    .image_path = device.image,
                                    .serial_number = serial_number,
                                    .block_size = device.block_size});
  if (!made.ok()) return made.error();
  arena.Get(*made)->iommu = ProfileOf(device.iommu);
  vfio::HostState& state = host_->state();
  state.devices[state.device_count++] = {.soft = *made,
                                         .kernel = {},
                                         .group = FindOrAddGroup(state, device.group),
                                         .opens = 0,
                                         .bound_slot = 0,
                                         .context = 0,
                                         .device_object = 0};
  return {};
}

ioas::Status SoftPlatform::Create(vfio::Host& host, const settings::Settings& settings) {
  host_ = &host;
  ioas::Arena arena = host.arena();
  const auto made = ioas::soft::CreateHost(arena);
  if (!made.ok()) return made.error();
  host.state().soft = *made;
  for (const settings::FaultRange& fault : settings.faults) {
    IOAS_RETURN_IF_ERROR(ioas::soft::RefuseRange(soft(), {fault.first, fault.last}));
  }
  for (const settings::DeviceSettings& device : settings.devices) {
    IOAS_RETURN_IF_ERROR(AddDevice(device));
  }
  return Join(host);
}

ioas::Status SoftPlatform::Join(vfio::Host& host) {
  host_ = &host;
  if (!host.state().soft) return ioas::Error{EPROTO, "the host has no emulated devices"};
  backend_ = ioas::soft::SoftBackend(processes());
  return {};
}

ioas::Result<int> SoftPlatform::OpenContainerFile(uint32_t slot,
                                                  vfio::ContainerState& /*container*/,
                                                  bool close_on_exec) {
  return host_->files().Open(slot, close_on_exec);
}

ioas::Result<int> SoftPlatform::OpenGroupFile(uint32_t slot, uint32_t /*group*/,
                                              bool close_on_exec) {
  return host_->files().Open(slot, close_on_exec);
}

ioas::Result<vfio::NewFile> SoftPlatform::OpenDeviceFile(uint32_t index,
                                                         const vfio::ContainerFile* /*container*/) {
  vfio::FileTable files = host_->files();
  const ioas::Result<uint32_t> slot = files.Take(decode::DescriptorKind::kDevice, index);
  if (!slot.ok()) return slot.error();
  const ioas::Result<int> fd = files.Open(*slot, /*close_on_exec=*/true);
  if (!fd.ok()) {
    files.Free(*slot);
    return fd.error();
  }
  if (const ioas::Status opened = OpenDevice(index); !opened.ok()) {
    files.Free(*slot);
    ioas::SystemCall(SYS_close, *fd);
    return opened.error();
  }
  ++host_->state().groups[host_->state().devices[index].group].device_opens;
  return vfio::NewFile{*fd, *slot};
}

// The key of the file's name is where other files have their position.
ioas::Result<int> SoftPlatform::OpenEventFile(uint32_t slot) {
  const ioas::soft::EventFileName name = ioas::soft::NewEventFileName(slot);
  host_->files().slot(slot).position = name.key;
  return ioas::soft::OpenEventFile(name, /*close_on_exec=*/true);
}

bool SoftPlatform::IsOpen(uint32_t slot) const {
  const vfio::FileSlot& file = host_->files().slot(slot);
  if (file.kind != decode::DescriptorKind::kEvents) return host_->files().IsOpen(slot);
  return ioas::soft::IsEventFileOpen({file.position, slot});
}

ioas::Result<uint32_t> SoftPlatform::SlotOf(int fd) const {
  const vfio::FileTable files = host_->files();
  const ioas::Result<uint32_t> slot = files.SlotOf(fd);
  if (!slot.ok() || *slot != 0) return slot;
  const auto name = ioas::soft::NameOfEventFile(fd);
  if (!name || name->number == 0 || name->number > files.last_slot()) return 0u;
  const vfio::FileSlot& file = files.slot(name->number);
  const bool is_ours = file.in_use != 0 && file.kind == decode::DescriptorKind::kEvents &&
                       file.position == name->key;
  return is_ours ? name->number : 0u;
}

ioas::Status SoftPlatform::OpenDevice(uint32_t index) {
  const ioas::Result<SoftDevice*> opened = UseDevice(index);
  if (!opened.ok()) return opened.error();
  // The first opener gets the function reset (vfio_pci_core_enable).
  if (host_->state().devices[index].opens++ == 0) (*opened)->Reset();
  return {};
}

void SoftPlatform::CloseBoundDevice(uint32_t index) {
  if (--host_->state().devices[index].opens == 0) CloseDevice(index);
}

void SoftPlatform::CloseDevice(uint32_t index) {
  // What vfio_pci_core_disable does; the state is the arena's, so any process can do it.
  if (SoftDevice* closed = device(index); closed != nullptr) {
    closed->Reset();
    closed->Stop();
  }
}

ioas::Result<uint32_t> SoftPlatform::FindGroup(uint32_t number) {
  const vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.group_count; ++i) {
    if (state.groups[i].number == number) return i;
  }
  return ioas::Error{ENOENT, "there is no such group"};
}

ioas::Result<uint32_t> SoftPlatform::FindDevice(uint32_t group, std::string_view name) {
  const vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if (state.devices[i].group != group) continue;
    char own[kPciAddressLength];
    const auto& address = host_->arena().Get(state.devices[i].soft)->address;
    const ioas::Result<bool> match =
        vfio::MatchDeviceName(name, FormatPciAddress(address, own), /*takes_token=*/false);
    if (!match.ok()) return match.error();
    if (*match) return i;
  }
  return ioas::Error{ENODEV, "the group has no device of that name"};
}

void SoftPlatform::NameDevice(uint32_t device, std::span<char> name) const {
  char own[kPciAddressLength];
  FormatPciAddress(host_->arena().Get(host_->state().devices[device].soft)->address, own);
  std::snprintf(name.data(), name.size(), "%s", own);
}

void SoftPlatform::AttachDevices(uint64_t groups, const ioas::DmaTarget& target) {
  const vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if ((groups >> state.devices[i].group & 1) == 0) continue;
    if (SoftDevice* attached = device(i); attached != nullptr) attached->Attach(target);
  }
}

bool SoftPlatform::HasPasids(uint32_t index, uint32_t group) {
  return host_->state().devices[index].group == group && PasidBitsOf(index) != 0;
}

ioas::Status SoftPlatform::MovePasid(uint32_t group, uint32_t pasid,
                                     const ioas::DmaTarget& target) {
  const uint32_t count = host_->state().device_count;
  for (uint32_t i = 0; i < count; ++i) {
    if (target.space && HasPasids(i, group) && device(i) == nullptr) {
      return ioas::Error{ENOMEM, "a device cannot be had in this process"};
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    SoftDevice* const moved = HasPasids(i, group) ? device(i) : nullptr;
    const ioas::Status attached =
        moved != nullptr ? moved->AttachPasid(pasid, target) : ioas::Status();
    if (attached.ok()) continue;
    // There was none, so there was none for those before.
    (void)MovePasid(group, pasid, {});
    return attached;
  }
  return {};
}

uint32_t SoftPlatform::NextPasid(uint32_t group, uint32_t pasid) {
  uint32_t next = ioas::kPasids;
  for (uint32_t i = 0; i < host_->state().device_count; ++i) {
    SoftDevice* const asked = HasPasids(i, group) ? device(i) : nullptr;
    if (asked != nullptr) next = std::min(next, asked->NextPasid(pasid));
  }
  return next;
}

ioas::IommuProperties SoftPlatform::PropertiesOf(uint32_t device) {
  using ioas::soft::IommuProfile;
  const IommuProfile profile = host_->arena().Get(host_->state().devices[device].soft)->iommu;
  ioas::IommuProperties properties = ioas::soft::PropertiesOf(profile);
  if (profile == IommuProfile::kAuto || profile == IommuProfile::kX86) {
    const native::HardwareInfo info = native::SoftIommuHardware();
    properties.info_type = info.type;
    properties.info = info.data;
  }
  return properties;
}

ioas::Result<ioas::IommuProperties> SoftPlatform::Properties(
    const vfio::ContainerFile& /*container*/, uint64_t groups) {
  const vfio::HostState& state = host_->state();
  ioas::soft::IommuProfileSet profiles = 0;
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if ((groups >> state.devices[i].group & 1) == 0) continue;
    profiles |= ioas::soft::SetOf(host_->arena().Get(state.devices[i].soft)->iommu);
  }
  return ioas::soft::PropertiesOf(profiles);
}

ioas::Status SoftPlatform::Attach(uint64_t groups, const vfio::ContainerFile& container) {
  AttachDevices(groups, {container.state.space, {}});
  return {};
}

void SoftPlatform::Detach(uint64_t groups, const vfio::ContainerFile& /*container*/) {
  AttachDevices(groups, {});
}

SoftDevice* SoftPlatform::device(uint32_t index) {
  SoftDevice* held = devices_[index].load(std::memory_order_acquire);
  if (held != nullptr) return held;
  ioas::Arena arena = host_->arena();
  const auto opened = ioas::soft::OpenDevice(arena, host_->state().devices[index].soft);
  if (!opened.ok()) return nullptr;
  // Two threads get the same object; the second hold is given back.
  if (devices_[index].exchange(*opened, std::memory_order_acq_rel) != nullptr) (*opened)->Close();
  return *opened;
}

ioas::Result<SoftDevice*> SoftPlatform::UseDevice(uint32_t index) {
  SoftDevice* used = device(index);
  if (used == nullptr) return ioas::Error{ENOMEM, "the device cannot be had in this process"};
  IOAS_RETURN_IF_ERROR(used->Start());
  return used;
}

ioas::Result<long> SoftPlatform::DeviceIoctl(uint32_t index, int /*fd*/,
                                             const vfio::CallArguments& arguments) {
  const auto call = decode::Decode(decode::DescriptorKind::kDevice, host_->TypeOfDevice(index),
                                   arguments.request, arguments.argument, arguments.memory);
  if (!call.ok()) return call.error();
  const ioas::Result<SoftDevice*> used = UseDevice(index);
  if (!used.ok()) return used.error();
  IOAS_RETURN_IF_ERROR(CallDevice(*host_, *this, index, **used, *call));
  return 0L;
}

}  // namespace compat::soft
