#include "compat/native/binding.h"

#include <algorithm>
#include <cerrno>
#include <span>

#include "compat/native/attachment.h"
#include "compat/native/event_files.h"
#include "compat/native/viommus.h"

namespace compat::native {

using ioas::ArenaRef;
using ioas::Error;
using ioas::Result;
using ioas::Status;

namespace {

// For work on a context that no call on its file has asked for.
Context ViewOf(vfio::Host& host, ContextState& state) { return Context({host, state, state.slot}); }

ContextState& StateAt(const vfio::Host& host, uint32_t unit) {
  return *host.arena().Get(ArenaRef<ContextState>{unit});
}

bool IsKept(const vfio::Host& host, const ContextState& state) {
  const uint32_t unit = host.arena().RefOf(&state).unit;
  const vfio::HostState& all = host.state();
  const std::span<const vfio::DeviceState> devices(all.devices, all.device_count);
  const std::span<const vfio::GroupState> groups(all.groups, all.group_count);
  return std::any_of(devices.begin(), devices.end(),
                     [unit](const vfio::DeviceState& device) {
                       return device.bound_slot != 0 && device.context == unit;
                     }) ||
         std::any_of(groups.begin(), groups.end(),
                     [unit](const vfio::GroupState& group) { return group.context == unit; });
}

}  // namespace

Result<uint32_t> BindTo(vfio::Host& host, uint32_t device, uint32_t unit, uint32_t slot) {
  vfio::DeviceState& state = host.state().devices[device];
  const uint32_t owner = host.ContextOfGroup(state.group);
  if (owner != 0 && owner != unit) {
    return Error{EBUSY, "another iommufd has a device of the group"};
  }
  Context context = ViewOf(host, StateAt(host, unit));
  const Result<uint32_t> made = context.New<DeviceObject>(ObjectKind::kDevice);
  if (!made.ok()) return made;
  context.FindDevice(*made)->device = device;
  // The file's, until it ends.
  context.AddUser(*made);
  state.context = unit;
  state.device_object = *made;
  host.SetBoundSlot(device, slot);
  return made;
}

void Unbind(vfio::Host& host, uint32_t device) {
  const vfio::DeviceState& state = host.state().devices[device];
  ContextState& owner = StateAt(host, state.context);
  {
    Context context = ViewOf(host, owner);
    DetachAll(context, state.device_object);
    RemoveVdeviceOf(context, state.device_object);
    context.DropUser(state.device_object);
    (void)context.Destroy(state.device_object);
  }
  host.SetBoundSlot(device, 0);
  EndContextIfUnused(host, owner);
}

Status JoinContext(vfio::Host& host, ContextState& state) {
  Context context = ViewOf(host, state);
  if (state.vfio_ioas != 0) return {};
  const Result<uint32_t> made = context.NewIoas();
  if (!made.ok()) return made.error();
  state.vfio_ioas = *made;
  return {};
}

Status BindByGroup(vfio::Host& host, uint32_t device, uint32_t unit) {
  const Result<uint32_t> id = BindTo(host, device, unit, vfio::kBoundByGroup);
  if (!id.ok()) return id.error();
  Status attached = Error{ENODEV, "legacy calls have no address space"};
  {
    Context context = ViewOf(host, StateAt(host, unit));
    uint32_t table = context.state().vfio_ioas;
    if (table != 0) attached = Attach(context, *id, kNoPasid, table);
  }
  if (!attached.ok()) Unbind(host, device);
  return attached;
}

void EndContextIfUnused(vfio::Host& host, ContextState& state) {
  if (state.in_use == 0 || state.file_open != 0 || IsKept(host, state)) return;
  {
    Context context = ViewOf(host, state);
    if (HasEventFiles(context)) return;
    context.DestroyAll();
    state.slot = 0;
  }
  state.in_use = 0;
}

}  // namespace compat::native
