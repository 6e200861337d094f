// Behaviour: drivers/vfio/device_cdev.c and iommufd.c, iommufd_device_bind in
// drivers/iommu/iommufd/device.c.
#include "compat/native/cdev_calls.h"

#include <cerrno>

#include "compat/abi/vfio_device.h"
#include "compat/native/attachment.h"
#include "compat/native/binding.h"

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

Result<long> Bind(const Cdev& cdev, const decode::DecodedCall& call) {
  auto bind = call.CopyIn<abi::DeviceBindIommufd>();
  if (!bind.ok()) return bind.error();
  if (bind->iommufd < 0) return Error{EINVAL, "the descriptor's number is negative"};
  vfio::Host::Lock lock(cdev.host);
  cdev.host.EndLostFiles();
  // The file itself may have been lost.
  const vfio::FileSlot file = cdev.host.files().slot(cdev.slot);
  if (file.in_use == 0 || file.kind != decode::DescriptorKind::kCdev) return kClosed;
  const vfio::GroupState& group = cdev.host.state().groups[StateOf(cdev).group];
  if (group.slot != 0 || group.device_opens != 0) {
    return Error{EBUSY, "the device's group is open"};
  }
  if (StateOf(cdev).bound_slot == cdev.slot) return Error{EINVAL, "the device is bound already"};
  const Result<uint32_t> unit = FindContext(cdev.host, bind->iommufd);
  if (!unit.ok()) return unit.error();
  if (StateOf(cdev).opens != 0) return Error{EINVAL, "the device is in use already"};
  const Result<uint32_t> made = BindTo(cdev.host, cdev.device, *unit, cdev.slot);
  if (!made.ok()) return made.error();
  if (const Status opened = cdev.host.platform().OpenDevice(cdev.device); !opened.ok()) {
    Unbind(cdev.host, cdev.device);
    return opened.error();
  }
  bind->out_devid = *made;
  const Status written = decode::Write(
      *call.memory, call.argument + offsetof(abi::DeviceBindIommufd, out_devid), bind->out_devid);
  if (!written.ok()) CloseCdev(cdev.host, cdev.device, cdev.slot);
  if (!written.ok()) return written.error();
  return 0L;
}

// The PASID behind what is copied in of each structure. EINVAL if argsz ends before it.
template <typename Structure>
Status CopyInPasid(const decode::DecodedCall& call, Structure& structure) {
  if (structure.argsz < sizeof(Structure)) {
    return Error{EINVAL, "argsz ends before the PASID"};
  }
  const auto pasid =
      decode::Read<uint32_t>(*call.memory, call.argument + offsetof(Structure, pasid));
  if (!pasid.ok()) return pasid.error();
  structure.pasid = *pasid;
  return {};
}

// What a call attaches or detaches. VFIO knows the device apart from its PASIDs, of which one may
// be PASID 0, which is the same to the IOMMU.
struct Attached {
  uint32_t pasid;
  bool by_pasid;
};

bool IsAttached(const Context& context, DeviceObject& device, const Attached& what) {
  if (TableOf(context, device, what.pasid) == 0) return false;
  return what.pasid != kNoPasid || (device.is_pasid_zero != 0) == what.by_pasid;
}

// vfio_iommufd_physical_attach_ioas and vfio_iommufd_physical_pasid_attach_ioas.
Status Change(Context& context, uint32_t id, const Attached& what, uint32_t& table) {
  // What says whether a PASID is attached (ida_exists) fails for one that is no int, and takes the
  // error for the answer where the PASID looks like it.
  constexpr auto kLooksAttached = static_cast<uint32_t>(-EINVAL);
  DeviceObject& device = *context.FindDevice(id);
  if (IsAttached(context, device, what) || what.pasid == kLooksAttached) {
    return Replace(context, id, what.pasid, table);
  }
  if (what.pasid > INT32_MAX) return Error{ENOSPC, "the PASID is no positive int"};
  const Status attached = native::Attach(context, id, what.pasid, table);
  if (attached.ok() && what.pasid == kNoPasid) device.is_pasid_zero = what.by_pasid ? 1 : 0;
  return attached;
}

Result<long> AttachCall(const Cdev& cdev, const decode::DecodedCall& call) {
  auto attach = call.CopyIn<abi::DeviceAttachIommufdPt>();
  if (!attach.ok()) return attach.error();
  const bool by_pasid = (attach->flags & abi::kDeviceAttachPasid) != 0;
  if (by_pasid) IOAS_RETURN_IF_ERROR(CopyInPasid(call, *attach));
  vfio::Host::Lock lock(cdev.host);
  if (StateOf(cdev).bound_slot != cdev.slot) return kNotBound;
  Context context = LockContext(cdev);
  const uint32_t id = StateOf(cdev).device_object;
  const uint32_t pasid = by_pasid ? attach->pasid : kNoPasid;
  const bool was_attached = TableOf(context, *context.FindDevice(id), pasid) != 0;
  IOAS_RETURN_IF_ERROR(Change(context, id, {pasid, by_pasid}, attach->pt_id));
  const Status written = decode::Write(
      *call.memory, call.argument + offsetof(abi::DeviceAttachIommufdPt, pt_id), attach->pt_id);
  if (!written.ok()) {
    if (!was_attached) Detach(context, id, pasid);
    return written.error();
  }
  return 0L;
}

Result<long> DetachCall(const Cdev& cdev, const decode::DecodedCall& call) {
  auto detach = call.CopyIn<abi::DeviceDetachIommufdPt>();
  if (!detach.ok()) return detach.error();
  const bool by_pasid = (detach->flags & abi::kDeviceDetachPasid) != 0;
  if (by_pasid) IOAS_RETURN_IF_ERROR(CopyInPasid(call, *detach));
  vfio::Host::Lock lock(cdev.host);
  if (StateOf(cdev).bound_slot != cdev.slot) return kNotBound;
  Context context = LockContext(cdev);
  const uint32_t id = StateOf(cdev).device_object;
  const uint32_t pasid = by_pasid ? detach->pasid : kNoPasid;
  if (IsAttached(context, *context.FindDevice(id), {pasid, by_pasid})) Detach(context, id, pasid);
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
  if (host.state().devices[device].bound_slot != slot) return;
  Unbind(host, device);
  host.platform().CloseBoundDevice(device);
}

}  // namespace compat::native
