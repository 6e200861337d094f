#include "compat/soft/soft_platform.h"

#include <unistd.h>

#include <cstdio>

#include "compat/soft/calls.h"
#include "compat/vfio/device_name.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/devices.h"

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

uint32_t FindOrAddGroup(vfio::HostState& state, uint32_t number) {
  for (uint32_t i = 0; i < state.group_count; ++i) {
    if (state.groups[i].number == number) return i;
  }
  state.groups[state.group_count] = {
      .number = number, .slot = 0, .device_opens = 0, .container = {}, .turn = 0};
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
  const auto made = ioas::soft::CreateNvme(arena, soft(),
                                           {.address = address,
                                            .group = device.group,
                                            .image_path = device.image,
                                            .serial_number = serial_number,
                                            .block_size = device.block_size});
  if (!made.ok()) return made.error();
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
                                                         const vfio::ContainerFile& /*container*/) {
  vfio::FileTable files = host_->files();
  const ioas::Result<uint32_t> slot = files.Take(decode::DescriptorKind::kDevice, index);
  if (!slot.ok()) return slot.error();
  const ioas::Result<int> fd = files.Open(*slot, /*close_on_exec=*/true);
  if (!fd.ok()) {
    files.Free(*slot);
    return fd.error();
  }
  const ioas::Result<SoftDevice*> opened = UseDevice(index);
  if (!opened.ok()) {
    files.Free(*slot);
    ioas::SystemCall(SYS_close, *fd);
    return opened.error();
  }
  vfio::DeviceState& state = host_->state().devices[index];
  // The first opener gets the function reset (vfio_pci_core_enable).
  if (state.opens++ == 0) (*opened)->Reset();
  ++host_->state().groups[state.group].device_opens;
  return vfio::NewFile{*fd, *slot};
}

ioas::Status SoftPlatform::OpenBoundDevice(uint32_t index) {
  const ioas::Result<SoftDevice*> opened = UseDevice(index);
  if (!opened.ok()) return opened.error();
  ++host_->state().devices[index].opens;
  (*opened)->Reset();
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

void SoftPlatform::AttachDevices(uint64_t groups, ioas::ArenaRef<ioas::AddressSpaceState> space) {
  const vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    if ((groups >> state.devices[i].group & 1) == 0) continue;
    if (SoftDevice* attached = device(i); attached != nullptr) attached->Attach(space);
  }
}

ioas::Status SoftPlatform::Attach(uint64_t groups, const vfio::ContainerFile& container) {
  AttachDevices(groups, container.state.space);
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
