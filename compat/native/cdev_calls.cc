// Behaviour: drivers/vfio/device_cdev.c and iommufd.c, iommufd_device_bind in
// drivers/iommu/iommufd/device.c.
#include "compat/native/cdev_calls.h"

#include <algorithm>
#include <cerrno>
#include <span>

#include "compat/abi/vfio_device.h"
#include "compat/native/attachment.h"

namespace compat::native {

using ioas::ArenaRef;
using ioas::Error;
using ioas::Result;
using ioas::Status;

namespace {

constexpr Error kNotBound = {EINVAL, "the device is not bound to an iommufd by this descriptor"};

vfio::DeviceState& StateOf(const Cdev& cdev) { return cdev.host.state().devices[cdev.device]; }

ContextState& ContextOf(const Cdev& cdev) {
  return *cdev.host.arena().Get(ArenaRef<ContextState>{StateOf(cdev).context});
}

// Holds what a cdev's calls need. Only for a device that `cdev` has bound.
Context LockContext(const Cdev& cdev) {
  ContextState& state = ContextOf(cdev);
  return Context({cdev.host, state, state.slot});
}

// The context that `fd` is, as an arena unit.
Result<uint32_t> FindContext(const vfio::Host& host, int fd) {
  const Result<uint32_t> slot = host.parts().descriptors->SlotOf(fd);
  if (!slot.ok()) return slot;
  const vfio::FileSlot file = host.files().slot(*slot);
  if (*slot == 0 || file.in_use == 0 || file.kind != decode::DescriptorKind::kIommufd) {
    return Error{EBADFD, "the descriptor is no iommufd"};
  }
  return file.object;
}

// Whether the cdev may bind its device to `unit`. Needs the host's lock.
Status CheckBind(const Cdev& cdev, uint32_t unit) {
  const vfio::DeviceState& device = StateOf(cdev);
  if (device.opens != 0) return Error{EINVAL, "the device is in use already"};
  const uint32_t owner = cdev.host.ContextOfGroup(device.group);
  if (owner != 0 && owner != unit) {
    return Error{EBUSY, "another iommufd has a device of the group"};
  }
  return {};
}

Status BindTo(const Cdev& cdev, uint32_t unit, uint32_t& id) {
  ContextState& state = *cdev.host.arena().Get(ArenaRef<ContextState>{unit});
  Context context({cdev.host, state, state.slot});
  const Result<uint32_t> made = context.New<DeviceObject>(ObjectKind::kDevice);
  if (!made.ok()) return made.error();
  const Status opened = cdev.host.platform().OpenBoundDevice(cdev.device);
  if (!opened.ok()) {
    (void)context.Destroy(*made);
    return opened;
  }
  context.FindDevice(*made)->device = cdev.device;
  // The file's, until it ends.
  context.AddUser(*made);
  vfio::DeviceState& device = StateOf(cdev);
  device.context = unit;
  device.device_object = *made;
  cdev.host.SetBoundSlot(cdev.device, cdev.slot);
  id = *made;
  return {};
}

Result<long> Bind(const Cdev& cdev, const decode::DecodedCall& call) {
  auto bind = call.CopyIn<abi::DeviceBindIommufd>();
  if (!bind.ok()) return bind.error();
  if (bind->iommufd < 0) return Error{EINVAL, "the descriptor's number is negative"};
  vfio::Host::Lock lock(cdev.host);
  cdev.host.EndLostFiles();
  const vfio::GroupState& group = cdev.host.state().groups[StateOf(cdev).group];
  if (group.slot != 0 || group.device_opens != 0) {
    return Error{EBUSY, "the device's group is open"};
  }
  if (StateOf(cdev).bound_slot == cdev.slot) return Error{EINVAL, "the device is bound already"};
  const Result<uint32_t> unit = FindContext(cdev.host, bind->iommufd);
  if (!unit.ok()) return unit.error();
  IOAS_RETURN_IF_ERROR(CheckBind(cdev, *unit));
  IOAS_RETURN_IF_ERROR(BindTo(cdev, *unit, bind->out_devid));
  const Status written = decode::Write(
      *call.memory, call.argument + offsetof(abi::DeviceBindIommufd, out_devid), bind->out_devid);
  if (!written.ok()) CloseCdev(cdev.host, cdev.device, cdev.slot);
  if (!written.ok()) return written.error();
  return 0L;
}

Result<long> AttachCall(const Cdev& cdev, const decode::DecodedCall& call) {
  auto attach = call.CopyIn<abi::DeviceAttachIommufdPt>();
  if (!attach.ok()) return attach.error();
  if ((attach->flags & abi::kDeviceAttachPasid) != 0) {
    return Error{EOPNOTSUPP, "the device has no PASIDs"};
  }
  vfio::Host::Lock lock(cdev.host);
  if (StateOf(cdev).bound_slot != cdev.slot) return kNotBound;
  Context context = LockContext(cdev);
  const uint32_t id = StateOf(cdev).device_object;
  const bool was_attached = context.FindDevice(id)->hwpt != 0;
  IOAS_RETURN_IF_ERROR(native::Attach(context, id, attach->pt_id));
  const Status written = decode::Write(
      *call.memory, call.argument + offsetof(abi::DeviceAttachIommufdPt, pt_id), attach->pt_id);
  if (!written.ok()) {
    if (!was_attached) Detach(context, id);
    return written.error();
  }
  return 0L;
}

Result<long> DetachCall(const Cdev& cdev, const decode::DecodedCall& call) {
  const auto detach = call.CopyIn<abi::DeviceDetachIommufdPt>();
  if (!detach.ok()) return detach.error();
  if ((detach->flags & abi::kDeviceDetachPasid) != 0) {
    return Error{EOPNOTSUPP, "the device has no PASIDs"};
  }
  vfio::Host::Lock lock(cdev.host);
  if (StateOf(cdev).bound_slot != cdev.slot) return kNotBound;
  Context context = LockContext(cdev);
  Detach(context, StateOf(cdev).device_object);
  return 0L;
}

}  // namespace

Result<long> CallCdev(const Cdev& cdev, const vfio::CallArguments& arguments) {
  const auto call = decode::Decode(decode::DescriptorKind::kCdev, decode::ContainerType::kNone,
                                   arguments.request, arguments.argument, arguments.memory);
  if (call.ok() && call->row->call == decode::Call::kDeviceBindIommufd) return Bind(cdev, *call);
  if (cdev.host.BoundSlotOf(cdev.device) != cdev.slot) return kNotBound;
  if (!call.ok()) return call.error();
  switch (call->row->call) {
    case decode::Call::kDeviceAttachIommufdPt:
      return AttachCall(cdev, *call);
    case decode::Call::kDeviceDetachIommufdPt:
      return DetachCall(cdev, *call);
    default:
      return cdev.host.platform().DeviceIoctl(cdev.device, cdev.fd, arguments);
  }
}

void CloseCdev(vfio::Host& host, uint32_t device, uint32_t slot) {
  const Cdev cdev = {host, device, slot, -1};
  vfio::DeviceState& state = StateOf(cdev);
  if (state.bound_slot != slot) return;
  ContextState& owner = ContextOf(cdev);
  {
    Context context = LockContext(cdev);
    Detach(context, state.device_object);
    context.DropUser(state.device_object);
    (void)context.Destroy(state.device_object);
  }
  host.SetBoundSlot(device, 0);
  host.platform().CloseBoundDevice(device);
  EndContextIfUnused(host, owner);
}

void EndContextIfUnused(vfio::Host& host, ContextState& state) {
  const uint32_t unit = host.arena().RefOf(&state).unit;
  const std::span<const vfio::DeviceState> devices(host.state().devices, host.state().device_count);
  const bool is_kept = std::any_of(devices.begin(), devices.end(), [unit](const auto& device) {
    return device.bound_slot != 0 && device.context == unit;
  });
  if (state.in_use == 0 || state.file_open != 0 || is_kept) return;
  {
    Context context({host, state, state.slot});
    context.DestroyAll();
    state.slot = 0;
  }
  state.in_use = 0;
}

}  // namespace compat::native
