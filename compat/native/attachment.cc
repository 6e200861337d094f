#include "compat/native/attachment.h"

#include <algorithm>
#include <cerrno>

#include "compat/native/attached.h"
#include "compat/native/event_files.h"
#include "compat/native/mock_devices.h"
#include "compat/vfio/platform.h"

namespace compat::native {

using ioas::AddressSpace;
using ioas::Error;
using ioas::Result;
using ioas::Status;

namespace {

// Whether page tables of one device's IOMMU are the other's as well. Mock devices' are all alike in
// that, and nobody else's.
bool ShareTables(const Context& context, uint32_t device, uint32_t other) {
  if (device >= kFirstMockDevice || other >= kFirstMockDevice) {
    return device >= kFirstMockDevice && other >= kFirstMockDevice;
  }
  const ioas::IommuProperties one = context.host().platform().PropertiesOf(device);
  const ioas::IommuProperties two = context.host().platform().PropertiesOf(other);
  return one.page_sizes == two.page_sizes && std::equal(one.apertures.begin(), one.apertures.end(),
                                                        two.apertures.begin(), two.apertures.end());
}

// EINVAL if the IOMMU of `device` cannot go through the page table.
Status CheckTable(const Context& context, const DeviceObject& device, uint32_t hwpt) {
  const HwptState& table = *context.FindPaging(hwpt);
  if (table.has_dirty_tracking != 0 && !PropertiesOf(context, device).tracks_dirty_pages) {
    return Error{EINVAL, "the device's IOMMU cannot record what it writes"};
  }
  if (!ShareTables(context, table.made_for, device.device)) {
    return Error{EINVAL, "the page table is one of another kind of IOMMU"};
  }
  const NestedState* const nested = context.FindNested(hwpt);
  if (nested != nullptr && nested->is_unusable != 0) {
    return Error{EINVAL, "the IOMMU lacks what the page table needs"};
  }
  return {};
}

// Reserves in address space `ioas` what the IOMMU keeps for itself of this device.
Status ReserveIn(const Context& context, uint32_t id, const DeviceObject& device, uint32_t ioas) {
  AddressSpace space = context.SpaceOf(*context.FindIoas(ioas));
  const AddressSpace::Lock lock(space);
  for (const ioas::IovaRange& range : PropertiesOf(context, device).reserved) {
    const Status reserved = space.Reserve(range, id);
    if (reserved.ok()) continue;
    space.Release(id);
    return reserved;
  }
  return {};
}

void ReleaseIn(const Context& context, uint32_t id, uint32_t ioas) {
  AddressSpace space = context.SpaceOf(*context.FindIoas(ioas));
  const AddressSpace::Lock lock(space);
  space.Release(id);
}

// The same for the page table's address space.
Status ReserveFor(const Context& context, uint32_t id, const DeviceObject& device, uint32_t hwpt) {
  return ReserveIn(context, id, device, context.FindPaging(hwpt)->ioas);
}

void ReleaseFor(const Context& context, uint32_t id, uint32_t hwpt) {
  ReleaseIn(context, id, context.FindPaging(hwpt)->ioas);
}

// A page table that was made for devices goes with the last of them (iommufd_hw_pagetable_put).
void GiveUp(Context& context, uint32_t hwpt) {
  const HwptState* const paging = context.FindHwpt(hwpt);
  if (paging != nullptr && paging->is_auto != 0) (void)context.Destroy(hwpt);
}

// Denies what `pasid` of device object `id` and of others of its group has asked for through page
// table `hwpt`.
void DenyRequests(const Context& context, uint32_t id, uint32_t pasid, uint32_t hwpt) {
  const FaultState* const fault = context.FindFault(FaultOf(context, hwpt));
  if (fault == nullptr) return;
  ioas::soft::PageRequests requests(context.host().arena().Get(fault->requests));
  const int fd = DescriptorOf(context, fault->slot);
  requests.DenyAll(id, pasid, fd);
  ForEachAttached(context, GroupOf(context, *context.FindDevice(id)), pasid,
                  [&](uint32_t each, DeviceObject&) { requests.DenyAll(each, pasid, fd); });
}

// Attaches the PASID, but for what is reserved and counted. `is_first`: of its group.
Status AttachOne(Context& context, uint32_t id, uint32_t pasid, uint32_t hwpt, bool is_first) {
  DeviceObject& device = *context.FindDevice(id);
  IOAS_RETURN_IF_ERROR(CheckTable(context, device, hwpt));
  if (is_first) IOAS_RETURN_IF_ERROR(CheckPasid(context, device, pasid, hwpt));
  IOAS_RETURN_IF_ERROR(SetTable(context, device, pasid, hwpt));
  const Status moved = is_first ? MoveGroup(context, id, pasid, hwpt) : Status();
  if (!moved.ok()) (void)SetTable(context, device, pasid, 0);
  return moved;
}

// The first attachment of the device's PASID. What the IOMMU keeps for itself is of accesses
// without one.
Status AttachTo(Context& context, uint32_t id, uint32_t pasid, uint32_t hwpt) {
  DeviceObject& device = *context.FindDevice(id);
  const uint32_t current = TableOfGroup(context, GroupOf(context, device), pasid);
  if (current != 0 && current != hwpt) {
    return Error{EINVAL, "the device's group is attached to another page table"};
  }
  if (pasid == kNoPasid) IOAS_RETURN_IF_ERROR(ReserveFor(context, id, device, hwpt));
  const Status prepared = AttachOne(context, id, pasid, hwpt, current == 0);
  if (!prepared.ok()) {
    if (pasid == kNoPasid) ReleaseFor(context, id, hwpt);
    return prepared;
  }
  context.AddUser(hwpt);
  context.AddUser(id);
  return {};
}

// Reserves in a page table's address space what the devices that are to move to it need, unless
// they are there already, and checks whether they can.
Status PrepareMove(Context& context, uint32_t id, uint32_t pasid, uint32_t hwpt, bool reserves) {
  const uint32_t group = GroupOf(context, *context.FindDevice(id));
  Status status;
  ForEachAttached(context, group, pasid, [&](uint32_t each, DeviceObject& device) {
    if (status.ok() && reserves) status = ReserveFor(context, each, device, hwpt);
  });
  if (status.ok()) status = CheckPasid(context, *context.FindDevice(id), pasid, hwpt);
  ForEachAttached(context, group, pasid, [&](uint32_t, DeviceObject& device) {
    if (status.ok()) status = CheckTable(context, device, hwpt);
  });
  if (!status.ok() && reserves) {
    ForEachAttached(context, group, pasid,
                    [&](uint32_t each, DeviceObject&) { ReleaseFor(context, each, hwpt); });
  }
  return status;
}

// Another page table in place of the one that the PASID has in the device's group.
Status ReplaceBy(Context& context, uint32_t id, uint32_t pasid, uint32_t hwpt) {
  const uint32_t old = TableOf(context, *context.FindDevice(id), pasid);
  if (old == 0) return Error{EINVAL, "the device is not attached"};
  if (hwpt == old) return {};
  const bool is_same_space = context.FindPaging(hwpt)->ioas == context.FindPaging(old)->ioas;
  const bool reserves = pasid == kNoPasid && !is_same_space;
  IOAS_RETURN_IF_ERROR(PrepareMove(context, id, pasid, hwpt, reserves));
  // Before, for a device that waits is in the way; and what it has asked for in between.
  DenyRequests(context, id, pasid, old);
  const Status moved = MoveGroup(context, id, pasid, hwpt);
  DenyRequests(context, id, pasid, old);
  const uint32_t group = GroupOf(context, *context.FindDevice(id));
  ForEachAttached(context, group, pasid, [&](uint32_t each, DeviceObject& device) {
    if (reserves) ReleaseFor(context, each, moved.ok() ? old : hwpt);
    if (!moved.ok()) return;
    (void)SetTable(context, device, pasid, hwpt);
    context.AddUser(hwpt);
    context.DropUser(old);
  });
  if (moved.ok()) GiveUp(context, old);
  return moved;
}

// AttachTo or ReplaceBy.
using ChangeTable = Status (*)(Context& context, uint32_t id, uint32_t pasid, uint32_t hwpt);

// Whether a page table that is yet to be made for the device can be attached: looked at before it
// is made, since the kernel attaches first (iommufd_hwpt_paging_alloc).
Status CheckNewTable(const Context& context, uint32_t id, uint32_t pasid, uint32_t ioas) {
  const DeviceObject& device = *context.FindDevice(id);
  constexpr Error kNotForPasids = {EINVAL, "the kernel's own choice is never for PASIDs"};
  if (pasid != kNoPasid) return kNotForPasids;
  const uint32_t group = GroupOf(context, device);
  if (TableOfGroup(context, group, pasid) != 0) {
    return Error{EINVAL, "the device's group is attached to another page table"};
  }
  IOAS_RETURN_IF_ERROR(ReserveIn(context, id, device, ioas));
  ReleaseIn(context, id, ioas);
  return HasPasids(context, group) ? Status(kNotForPasids) : Status();
}

// Finds, or makes, a page table that nobody asked for by itself
// (iommufd_device_auto_get_domain).
Status ChangeSpace(Context& context, uint32_t id, uint32_t pasid, uint32_t& table,
                   ChangeTable change) {
  for (const uint32_t hwpt : context.objects().ids()) {
    const HwptState* const state = context.FindHwpt(hwpt);
    if (state == nullptr || state->is_auto == 0 || state->ioas != table) continue;
    const Status changed = change(context, id, pasid, hwpt);
    if (changed.error().code == EINVAL) continue;
    if (changed.ok()) table = hwpt;
    return changed;
  }
  if (change == AttachTo) IOAS_RETURN_IF_ERROR(CheckNewTable(context, id, pasid, table));
  const Result<uint32_t> made = NewPageTable(context, table, *context.FindDevice(id));
  if (!made.ok()) return made.error();
  const Status changed = change(context, id, pasid, *made);
  if (!changed.ok()) {
    (void)context.Destroy(*made);
    return changed;
  }
  context.FindHwpt(*made)->is_auto = 1;
  table = *made;
  return {};
}

Status Change(Context& context, uint32_t id, uint32_t pasid, uint32_t& table, ChangeTable change) {
  const bool is_table = context.FindPaging(table) != nullptr;
  if (!is_table && context.FindIoas(table) == nullptr) {
    if (context.objects().Find(table, ObjectKind::kAny) == nullptr) return kNoObject;
    return Error{EINVAL, "neither an address space nor a page table"};
  }
  if (change == AttachTo && TableOf(context, *context.FindDevice(id), pasid) != 0) {
    return Error{EBUSY, "the device is attached"};
  }
  return is_table ? change(context, id, pasid, table)
                  : ChangeSpace(context, id, pasid, table, change);
}

}  // namespace

ioas::IommuProperties PropertiesOf(const Context& context, const DeviceObject& device) {
  return device.device >= kFirstMockDevice
             ? mock_devices->properties_of(context, device.device - kFirstMockDevice)
             : context.host().platform().PropertiesOf(device.device);
}

uint8_t PasidBitsOf(const Context& context, const DeviceObject& device) {
  return device.device >= kFirstMockDevice
             ? mock_devices->pasid_bits_of(context, device.device - kFirstMockDevice)
             : context.host().platform().PasidBitsOf(device.device);
}

Result<uint32_t> NewPageTable(Context& context, uint32_t ioas, const DeviceObject& device) {
  const Result<uint32_t> id = context.New<HwptState>(ObjectKind::kHwptPaging);
  if (!id.ok()) return id;
  HwptState& hwpt = *context.FindHwpt(*id);
  hwpt.ioas = ioas;
  hwpt.made_for = device.device;
  context.AddUser(ioas);
  ioas::Arena arena = context.host().arena();
  const auto domain = arena.New<ioas::DomainState>();
  if (!domain.ok()) {
    (void)context.Destroy(*id);
    return domain.error();
  }
  hwpt.domain = *domain;
  arena.Get(*domain)->space = context.FindIoas(ioas)->space;
  AddressSpace space = context.SpaceOfHwpt(hwpt);
  Status added;
  {
    const AddressSpace::Lock lock(space);
    added = space.AddDomain(*id, PropertiesOf(context, device), *domain);
  }
  if (added.ok()) return id;
  (void)context.Destroy(*id);
  return added.error();
}

uint32_t FaultOf(const Context& context, uint32_t hwpt) {
  if (const NestedState* const nested = context.FindNested(hwpt)) return nested->fault;
  const HwptState* const paging = context.FindHwpt(hwpt);
  return paging != nullptr ? paging->fault : 0;
}

Status Attach(Context& context, uint32_t id, uint32_t pasid, uint32_t& table) {
  return Change(context, id, pasid, table, AttachTo);
}

Status Replace(Context& context, uint32_t id, uint32_t pasid, uint32_t& table) {
  return Change(context, id, pasid, table, ReplaceBy);
}

void Detach(Context& context, uint32_t id, uint32_t pasid) {
  DeviceObject& device = *context.FindDevice(id);
  const uint32_t hwpt = TableOf(context, device, pasid);
  if (hwpt == 0) return;
  DenyRequests(context, id, pasid, hwpt);
  (void)SetTable(context, device, pasid, 0);
  if (TableOfGroup(context, GroupOf(context, device), pasid) == 0) {
    (void)MoveGroup(context, id, pasid, 0);
  }
  DenyRequests(context, id, pasid, hwpt);
  if (pasid == kNoPasid) {
    device.is_pasid_zero = 0;
    ReleaseFor(context, id, hwpt);
  }
  context.DropUser(hwpt);
  context.DropUser(id);
  GiveUp(context, hwpt);
}

void DetachAll(Context& context, uint32_t id) {
  DeviceObject& device = *context.FindDevice(id);
  for (const uint32_t pasid : PasidsOf(context, device).pasids()) Detach(context, id, pasid);
  Detach(context, id, kNoPasid);
}

}  // namespace compat::native
