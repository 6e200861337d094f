#include "compat/vfio/host.h"

#include <unistd.h>

#include <new>

#include "compat/vfio/calls.h"
#include "compat/vfio/counted.h"
#include "ioas/base/system_call.h"

namespace compat::vfio {
namespace {

using ioas::ArenaRef;

// How much address space a host reserves. Memory is taken as it is needed.
constexpr size_t kArenaMaximum = size_t{16} << 30;
// How many containers are opened before files whose processes were killed are looked for again.
constexpr uint32_t kOpensBetweenSearches = 64;

// Counts changes of the arena's contents that no size tells of.
constexpr uint64_t kLayoutVersion = 5;

// What two libraries that lay hosts out differently differ in.
constexpr uint64_t Layout() {
  uint64_t layout = kLayoutVersion;
  for (const size_t size :
       {sizeof(HostState), sizeof(ContainerState), sizeof(ioas::AddressSpaceState),
        sizeof(ioas::soft::SoftHost), sizeof(ioas::soft::SoftDeviceState)}) {
    layout = layout * 1'000'003 + size;
  }
  return layout;
}

}  // namespace

ioas::Status Host::Create(const settings::Settings& settings) {
  const ioas::Result<ArenaRef<HostState>> ref = arena_.New<HostState>();
  if (!ref.ok()) return ref.error();
  state_ = arena_.Get(*ref);
  state_->layout = Layout();
  state_->mutex.Initialize();
  ioas::SystemCall(SYS_getrandom, &state_->id, sizeof(state_->id), 0);
  IOAS_RETURN_IF_ERROR(parts_.platform->Create(*this, settings));
  arena_.SetRoot(ref->unit);
  is_new_ = true;
  return {};
}

ioas::Result<Host*> Host::Open(int fd, const settings::Settings& settings, const HostParts& parts) {
  const ioas::Result<ioas::Arena> arena = ioas::Arena::Map(fd, kArenaMaximum);
  if (!arena.ok()) return arena.error();
  Host* host = new (std::nothrow) Host(*arena, fd, parts);
  if (host == nullptr) return ioas::Error{ENOMEM, "no memory for the host"};
  ioas::Status ready;
  if (arena->root() == 0) {
    ready = host->Create(settings);
  } else {
    host->state_ = arena->Get(ArenaRef<HostState>{arena->root()});
    ready = host->state_->layout == Layout()
                ? parts.platform->Join(*host)
                : ioas::Error{EPROTO, "another version of the library made the host"};
  }
  if (ready.ok()) return host;
  delete host;
  return ready.error();
}

Host::~Host() { arena_.Unmap(); }

decode::ContainerType Host::TypeOfDevice(uint32_t index) const {
  const ArenaRef<ContainerState> container =
      state_->groups[state_->devices[index].group].LoadContainer();
  return container ? arena_.Get(container)->type.load() : decode::ContainerType::kNone;
}

const decode::CallRow* Host::RowOf(uint32_t slot, uint64_t request) const {
  const FileMeaning file = files().slot(slot).Load();
  // The calls of other kinds do not depend on it.
  decode::ContainerType type = decode::ContainerType::kNone;
  if (file.kind == decode::DescriptorKind::kContainer) {
    type = arena_.Get(ArenaRef<ContainerState>{file.object})->type;
  }
  return decode::Lookup(file.kind, type, static_cast<uint32_t>(request));
}

ioas::Result<uint32_t> Host::RegisterProcess() {
  const ioas::Result<uint32_t> process = platform().processes().Register();
  if (process.ok()) process_.store(*process, std::memory_order_relaxed);
  return process;
}

ioas::Result<int> Host::OpenContainer(bool close_on_exec) {
  if (CallerIsInside()) return Inside();
  Lock lock(*this);
  // Containers of processes that were killed are there to be used again; looking costs a system
  // call for each open file, so not every time.
  if (state_->containers_opened % kOpensBetweenSearches == 0) EndLostFiles();
  const ioas::Result<ArenaRef<ContainerState>> container = NewContainer();
  if (!container.ok()) return container.error();
  ContainerState* state = arena_.Get(*container);
  const ioas::Result<NewFile> file = OpenFile(
      decode::DescriptorKind::kContainer, container->unit,
      [&](uint32_t slot) { return platform().OpenContainerFile(slot, *state, close_on_exec); });
  if (!file.ok()) {
    state->in_use = 0;
    return file.error();
  }
  state->slot = file->slot;
  state->file_open = 1;
  state->number = ++state_->containers_opened;
  parts_.descriptors->OnNew(file->descriptor, file->slot);
  Tell(session::EventKind::kOpened, *state);
  return file->descriptor;
}

ioas::Result<int> Host::OpenGroup(uint32_t number, bool close_on_exec) {
  if (CallerIsInside()) return Inside();
  Lock lock(*this);
  const ioas::Result<uint32_t> index = platform().FindGroup(number);
  if (!index.ok()) return index.error();
  GroupState& group = state_->groups[*index];
  const auto is_open = [&] {
    // Device files hold their group's file open for a container's sake only.
    const bool is_held = group.container && group.device_opens != 0;
    return group.slot != 0 || is_held || HasOpenCdev(*index);
  };
  // Its holder may have been killed.
  if (is_open()) EndLostFiles();
  if (is_open()) {
    return ioas::Error{EBUSY, "the group is open already"};
  }
  const ioas::Result<NewFile> file = OpenFile(
      decode::DescriptorKind::kGroup, *index,
      [&](uint32_t slot) { return platform().OpenGroupFile(slot, *index, close_on_exec); });
  if (!file.ok()) return file.error();
  group.slot = file->slot;
  parts_.descriptors->OnNew(file->descriptor, file->slot);
  return file->descriptor;
}

ioas::Result<int> Host::OpenIommufd(bool close_on_exec) {
  if (CallerIsInside()) return Inside();
  if (parts_.native == nullptr) return ioas::Error{ENOENT, "the host has no /dev/iommu"};
  Lock lock(*this);
  const ioas::Result<uint32_t> context = parts_.native->NewContext(*this);
  if (!context.ok()) return context.error();
  const ioas::Result<NewFile> file =
      OpenFile(decode::DescriptorKind::kIommufd, *context,
               [&](uint32_t slot) { return platform().OpenPlainFile(slot, close_on_exec); });
  parts_.native->OnContextOpened(*this, *context, file.ok() ? file->slot : 0);
  if (!file.ok()) return file.error();
  parts_.descriptors->OnNew(file->descriptor, file->slot);
  return file->descriptor;
}

ioas::Result<int> Host::OpenCdev(uint32_t device, bool close_on_exec) {
  if (CallerIsInside()) return Inside();
  Lock lock(*this);
  if (parts_.native == nullptr || device >= state_->device_count) {
    return ioas::Error{ENOENT, "there is no such device"};
  }
  const ioas::Result<NewFile> file =
      OpenFile(decode::DescriptorKind::kCdev, device,
               [&](uint32_t slot) { return platform().OpenPlainFile(slot, close_on_exec); });
  if (!file.ok()) return file.error();
  parts_.descriptors->OnNew(file->descriptor, file->slot);
  return file->descriptor;
}

ioas::Result<NewFile> Host::OpenEventFile(uint32_t context) {
  return OpenFile(decode::DescriptorKind::kEvents, context,
                  [&](uint32_t slot) { return platform().OpenEventFile(slot); });
}

void Host::CloseEventFile(const NewFile& file) const {
  ioas::SystemCall(SYS_close, file.descriptor);
  files().Free(file.slot);
}

ioas::Result<long> Host::Read(uint32_t slot, uint64_t address, uint64_t size,
                              const uint64_t* position, decode::CallerMemory& memory) {
  if (CallerIsInside()) return Inside();
  const FileMeaning file = files().slot(slot).Load();
  if (file.kind != decode::DescriptorKind::kEvents) {
    return parts_.platform->Read(slot, address, size, position, memory);
  }
  if (position != nullptr) return ioas::Error{ESPIPE, "events have no offsets"};
  return parts_.native->ReadEvents(*this, file.object, slot, {address, size, memory});
}

ioas::Result<long> Host::Write(uint32_t slot, uint64_t address, uint64_t size,
                               const uint64_t* position, decode::CallerMemory& memory) {
  if (CallerIsInside()) return Inside();
  const FileMeaning file = files().slot(slot).Load();
  if (file.kind != decode::DescriptorKind::kEvents) {
    return parts_.platform->Write(slot, address, size, position, memory);
  }
  if (position != nullptr) return ioas::Error{ESPIPE, "events have no offsets"};
  return parts_.native->WriteEvents(*this, file.object, slot, {address, size, memory});
}

uint32_t Host::ContextOfGroup(uint32_t index) const {
  for (const DeviceState& device : std::span(state_->devices, state_->device_count)) {
    if (device.group == index && device.bound_slot != 0) return device.context;
  }
  return 0;
}

bool Host::HasOpenCdev(uint32_t index) const {
  for (uint32_t i = 0; i < state_->device_count; ++i) {
    if (state_->devices[i].group == index && IsBoundByCdev(i)) return true;
  }
  return false;
}

ioas::Result<uint32_t> Host::DeviceOf(uint32_t slot) const {
  const FileMeaning file = files().slot(slot).Load();
  const bool is_bound =
      file.kind == decode::DescriptorKind::kCdev && BoundSlotOf(file.object) == slot;
  if (file.kind == decode::DescriptorKind::kDevice || is_bound) return file.object;
  return ioas::Error{EINVAL, "the descriptor stands for no device, or for one that is not bound"};
}

template <typename Opener>
ioas::Result<NewFile> Host::OpenFile(decode::DescriptorKind kind, uint32_t object, Opener opener) {
  const ioas::Result<uint32_t> slot = files().Take(kind, object);
  if (!slot.ok()) return slot.error();
  const ioas::Result<int> fd = opener(*slot);
  if (fd.ok()) return NewFile{*fd, *slot};
  files().Free(*slot);
  return fd.error();
}

void Host::OnAdopted(uint32_t slot) {
  if (CallerIsInside()) return;
  Lock lock(*this);
  platform().OnAdopted(slot);
}

void Host::OnFork() {
  process_.store(kUnknownProcess, std::memory_order_relaxed);
  if (!platform().PassesThrough()) return;
  Lock lock(*this);
  for (uint32_t slot = 1; slot <= files().last_slot(); ++slot) {
    const FileSlot& file = files().slot(slot);
    if (file.in_use == 0 || file.kind != decode::DescriptorKind::kDevice) continue;
    if (parts_.descriptors->DescriptorOf(slot) >= 0) platform().OnAdopted(slot);
  }
}

[[gnu::hot]] ioas::Result<long> Host::Ioctl(int fd, uint32_t slot, const CallArguments& call) {
  if (CallerIsInside()) [[unlikely]]
    return Inside();
  const FileMeaning file = files().slot(slot).Load();
  if (file.kind != decode::DescriptorKind::kContainer) return OtherIoctl(fd, slot, file, call);
  return ContainerIoctl(*this, *arena_.Get(ArenaRef<ContainerState>{file.object}), fd, slot, call);
}

ioas::Result<long> Host::OtherIoctl(int fd, uint32_t slot, FileMeaning file,
                                    const CallArguments& call) {
  const auto row = [&] { return RowOf(slot, call.request); };
  switch (file.kind) {
    case decode::DescriptorKind::kGroup:
      return Counted(row, [&] { return GroupIoctl(*this, {file.object, slot}, call); });
    case decode::DescriptorKind::kDevice:
      return Counted(row, [&] { return platform().DeviceIoctl(file.object, fd, call); });
    case decode::DescriptorKind::kIommufd:
      return Counted(row,
                     [&] { return parts_.native->ContextIoctl(*this, file.object, slot, call); });
    case decode::DescriptorKind::kCdev:
      return Counted(row,
                     [&] { return parts_.native->CdevIoctl(*this, file.object, slot, fd, call); });
    default:
      return ioas::Error{ENOTTY, "the file has no calls"};
  }
}

}  // namespace compat::vfio
