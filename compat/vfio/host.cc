#include "compat/vfio/host.h"

#include <unistd.h>

#include <cstdio>
#include <new>

#include "compat/vfio/calls.h"
#include "ioas/soft/devices.h"

namespace compat::vfio {
namespace {

using ioas::ArenaRef;

// How much address space a host reserves. Memory is taken as it is needed.
constexpr size_t kArenaMaximum = size_t{16} << 30;
// How many containers are opened before files whose processes were killed are looked for again.
constexpr uint32_t kOpensBetweenSearches = 64;

uint32_t FindOrAddGroup(HostState& state, uint32_t number) {
  for (uint32_t i = 0; i < state.group_count; ++i) {
    if (state.groups[i].number == number) return i;
  }
  state.groups[state.group_count] = {
      .number = number, .slot = 0, .device_opens = 0, .container = {}};
  return state.group_count++;
}

ioas::Status AddDevice(ioas::Arena& arena, HostState& state,
                       const settings::DeviceSettings& device) {
  const ioas::soft::PciAddress address = {static_cast<uint16_t>(device.address.domain),
                                          device.address.bus, device.address.device,
                                          device.address.function};
  char serial_number[16];
  std::snprintf(serial_number, sizeof(serial_number), "VC%08X", address.number());
  const auto soft = ioas::soft::CreateNvme(arena, *arena.Get(state.soft),
                                           {.address = address,
                                            .group = device.group,
                                            .image_path = device.image,
                                            .serial_number = serial_number,
                                            .block_size = device.block_size});
  if (!soft.ok()) return soft.error();
  state.devices[state.device_count++] = {
      .soft = *soft, .group = FindOrAddGroup(state, device.group), .opens = 0};
  return {};
}

}  // namespace

Host::Host(ioas::Arena arena, int arena_fd, const HostParts& parts, HostState* state)
    : arena_(arena),
      arena_fd_(arena_fd),
      parts_(parts),
      state_(state),
      backend_(arena.Get(state->soft)->processes()) {}

ioas::Result<HostState*> Host::Create(ioas::Arena& arena, const settings::Settings& settings) {
  const ioas::Result<ArenaRef<HostState>> ref = arena.New<HostState>();
  if (!ref.ok()) return ref.error();
  HostState* state = arena.Get(*ref);
  state->mutex.Initialize();
  const auto soft = ioas::soft::CreateHost(arena);
  if (!soft.ok()) return soft.error();
  state->soft = *soft;
  for (const settings::FaultRange& fault : settings.faults) {
    IOAS_RETURN_IF_ERROR(
        ioas::soft::RefuseRange(*arena.Get(state->soft), {fault.first, fault.last}));
  }
  for (const settings::DeviceSettings& device : settings.devices) {
    IOAS_RETURN_IF_ERROR(AddDevice(arena, *state, device));
  }
  arena.SetRoot(ref->unit);
  return state;
}

ioas::Result<Host*> Host::Open(int fd, const settings::Settings& settings, const HostParts& parts) {
  ioas::Result<ioas::Arena> arena = ioas::Arena::Map(fd, kArenaMaximum);
  if (!arena.ok()) return arena.error();
  const bool is_new = arena->root() == 0;
  HostState* state = nullptr;
  if (!is_new) {
    state = arena->Get(ArenaRef<HostState>{arena->root()});
  } else {
    const ioas::Result<HostState*> created = Create(*arena, settings);
    if (!created.ok()) return created.error();
    state = *created;
  }
  Host* host = new (std::nothrow) Host(*arena, fd, parts, state);
  if (host == nullptr) return ioas::Error{ENOMEM, "no memory for the host"};
  host->is_new_ = is_new;
  return host;
}

Host::~Host() {
  for (const auto& held : devices_) {
    if (ioas::soft::SoftDevice* device = held.load(); device != nullptr) device->Close();
  }
  arena_.Unmap();
}

ioas::soft::SoftDevice* Host::device(uint32_t index) const {
  ioas::soft::SoftDevice* held = devices_[index].load(std::memory_order_acquire);
  if (held != nullptr) return held;
  const auto opened = ioas::soft::OpenDevice(arena_, state_->devices[index].soft);
  if (!opened.ok()) return nullptr;
  // Two threads get the same object; the second hold is given back.
  if (devices_[index].exchange(*opened, std::memory_order_acq_rel) != nullptr) (*opened)->Close();
  return *opened;
}

ioas::Result<ioas::soft::SoftDevice*> Host::UseDevice(uint32_t index) const {
  ioas::soft::SoftDevice* used = device(index);
  if (used == nullptr) return ioas::Error{ENOMEM, "the device cannot be had in this process"};
  IOAS_RETURN_IF_ERROR(used->Start());
  return used;
}

decode::ContainerType Host::TypeOfDevice(uint32_t index) const {
  const ArenaRef<ContainerState> container = state_->groups[state_->devices[index].group].container;
  return container ? arena_.Get(container)->type.load() : decode::ContainerType::kNone;
}

ioas::Result<ContainerContext> Host::ContextFor(ContainerState& container) {
  const ioas::Result<uint32_t> process = arena_.Get(state_->soft)->processes().Register();
  if (!process.ok()) return process.error();
  return ContainerContext{&arena_, &backend_, &container, {}, *process};
}

ioas::Result<int> Host::OpenContainer(bool close_on_exec) {
  Lock lock(*this);
  // Containers of processes that were killed are there to be used again; looking costs a system
  // call for each open file, so not every time.
  if (state_->containers_opened % kOpensBetweenSearches == 0) EndLostFiles();
  const ioas::Result<ArenaRef<ContainerState>> container = NewContainer();
  if (!container.ok()) return container.error();
  const ioas::Result<NewFile> file =
      files().Open(decode::DescriptorKind::kContainer, container->unit, close_on_exec);
  ContainerState* state = arena_.Get(*container);
  if (!file.ok()) {
    state->in_use = 0;
    return file.error();
  }
  state->slot = file->slot;
  state->file_open = 1;
  state->number = ++state_->containers_opened;
  parts_.descriptors->OnNew(file->descriptor, file->slot);
  return file->descriptor;
}

ioas::Result<int> Host::OpenGroup(uint32_t number, bool close_on_exec) {
  Lock lock(*this);
  for (uint32_t i = 0; i < state_->group_count; ++i) {
    GroupState& group = state_->groups[i];
    if (group.number != number) continue;
    const auto is_open = [&] { return group.slot != 0 || group.device_opens != 0; };
    // Its holder may have been killed.
    if (is_open()) EndLostFiles();
    if (is_open()) {
      return ioas::Error{EBUSY, "the group is open already"};
    }
    const ioas::Result<NewFile> file =
        files().Open(decode::DescriptorKind::kGroup, i, close_on_exec);
    if (!file.ok()) return file.error();
    group.slot = file->slot;
    parts_.descriptors->OnNew(file->descriptor, file->slot);
    return file->descriptor;
  }
  return ioas::Error{ENOENT, "there is no such group"};
}

ioas::Result<long> Host::Ioctl(uint32_t slot, uint64_t request, uint64_t argument,
                               decode::CallerMemory& memory) {
  const FileSlot& file = files().slot(slot);
  const CallArguments call{request, argument, memory};
  switch (file.kind) {
    case decode::DescriptorKind::kContainer:
      return ContainerIoctl(*this, *arena_.Get(ArenaRef<ContainerState>{file.object}), slot, call);
    case decode::DescriptorKind::kGroup:
      return GroupIoctl(*this, file.object, call);
    case decode::DescriptorKind::kDevice:
      return DeviceIoctl(*this, file.object, call);
    default:
      return ioas::Error{ENOTTY, "the file has no calls"};
  }
}

}  // namespace compat::vfio
