#include "compat/native/attachment.h"

#include <cerrno>

#include "compat/native/mock_devices.h"
#include "compat/vfio/platform.h"

namespace compat::native {

using ioas::AddressSpace;
using ioas::Error;
using ioas::Result;
using ioas::Status;

namespace {

uint32_t GroupOf(const Context& context, const DeviceObject& device) {
  // Each has a group of its own.
  if (device.device >= kFirstMockDevice) return device.device;
  return context.host().state().devices[device.device].group;
}

ioas::IommuProperties PropertiesOf(const Context& context, const DeviceObject& device) {
  return device.device >= kFirstMockDevice ? mock_devices->properties
                                           : context.host().platform().PropertiesOf(device.device);
}

// Calls `visit` with each device object of `group` that is attached.
template <typename Visit>
void ForEachAttached(const Context& context, uint32_t group, Visit visit) {
  const ObjectTable objects = context.objects();
  for (uint32_t id = objects.Next(1); id != 0; id = objects.Next(id + 1)) {
    DeviceObject* const device = context.FindDevice(id);
    if (device != nullptr && device->hwpt != 0 && GroupOf(context, *device) == group) {
      visit(id, *device);
    }
  }
}

// The page table that the group is attached to; 0: none.
uint32_t TableOfGroup(const Context& context, uint32_t group) {
  uint32_t table = 0;
  ForEachAttached(context, group, [&](uint32_t, DeviceObject& device) { table = device.hwpt; });
  return table;
}

// Reserves in the page table's address space what the IOMMU keeps for itself of this device.
Status ReserveFor(const Context& context, uint32_t id, const DeviceObject& device, uint32_t hwpt) {
  AddressSpace space = context.SpaceOfHwpt(*context.FindHwpt(hwpt));
  const AddressSpace::Lock lock(space);
  for (const ioas::IovaRange& range : PropertiesOf(context, device).reserved) {
    const Status reserved = space.Reserve(range, id);
    if (reserved.ok()) continue;
    space.Release(id);
    return reserved;
  }
  return {};
}

void ReleaseFor(const Context& context, uint32_t id, uint32_t hwpt) {
  AddressSpace space = context.SpaceOfHwpt(*context.FindHwpt(hwpt));
  const AddressSpace::Lock lock(space);
  space.Release(id);
}

// A page table that was made for devices goes with the last of them (iommufd_hw_pagetable_put).
void GiveUp(Context& context, uint32_t hwpt) {
  if (context.FindHwpt(hwpt)->is_auto != 0) (void)context.Destroy(hwpt);
}

void AttachGroup(const Context& context, uint32_t group, uint32_t hwpt) {
  if (group >= kFirstMockDevice) return;
  const HwptState& table = *context.FindHwpt(hwpt);
  context.host().platform().MoveGroup(group, context.FindIoas(table.ioas)->space);
}

// The device's first attachment.
Status AttachTo(Context& context, uint32_t id, uint32_t hwpt) {
  DeviceObject& device = *context.FindDevice(id);
  const uint32_t group = GroupOf(context, device);
  const uint32_t current = TableOfGroup(context, group);
  if (current != 0 && current != hwpt) {
    return Error{EINVAL, "the device's group is attached to another page table"};
  }
  IOAS_RETURN_IF_ERROR(ReserveFor(context, id, device, hwpt));
  if (current == 0) AttachGroup(context, group, hwpt);
  device.hwpt = hwpt;
  context.AddUser(hwpt);
  context.AddUser(id);
  return {};
}

// Another page table in place of the one that the device's group has.
Status ReplaceBy(Context& context, uint32_t id, uint32_t hwpt) {
  const uint32_t old = context.FindDevice(id)->hwpt;
  const uint32_t group = GroupOf(context, *context.FindDevice(id));
  if (hwpt == old) return {};
  const bool is_same_space = context.FindHwpt(hwpt)->ioas == context.FindHwpt(old)->ioas;
  Status reserved;
  if (!is_same_space) {
    ForEachAttached(context, group, [&](uint32_t each, DeviceObject& device) {
      if (reserved.ok()) reserved = ReserveFor(context, each, device, hwpt);
    });
  }
  if (!reserved.ok()) {
    ForEachAttached(context, group,
                    [&](uint32_t each, DeviceObject&) { ReleaseFor(context, each, hwpt); });
    return reserved;
  }
  AttachGroup(context, group, hwpt);
  ForEachAttached(context, group, [&](uint32_t each, DeviceObject& device) {
    if (!is_same_space) ReleaseFor(context, each, old);
    device.hwpt = hwpt;
    context.AddUser(hwpt);
    context.DropUser(old);
  });
  GiveUp(context, old);
  return {};
}

Status ChangeTable(Context& context, uint32_t id, uint32_t hwpt) {
  return context.FindDevice(id)->hwpt == 0 ? AttachTo(context, id, hwpt)
                                           : ReplaceBy(context, id, hwpt);
}

// Finds, or makes, a page table that nobody asked for by itself
// (iommufd_device_auto_get_domain).
Status ChangeSpace(Context& context, uint32_t id, uint32_t& table) {
  const ObjectTable objects = context.objects();
  for (uint32_t hwpt = objects.Next(1); hwpt != 0; hwpt = objects.Next(hwpt + 1)) {
    const HwptState* const state = context.FindHwpt(hwpt);
    if (state == nullptr || state->is_auto == 0 || state->ioas != table) continue;
    const Status changed = ChangeTable(context, id, hwpt);
    if (changed.error().code == EINVAL) continue;
    if (changed.ok()) table = hwpt;
    return changed;
  }
  const Result<uint32_t> made = NewPageTable(context, table, *context.FindDevice(id));
  if (!made.ok()) return made.error();
  const Status changed = ChangeTable(context, id, *made);
  if (!changed.ok()) {
    (void)context.Destroy(*made);
    return changed;
  }
  context.FindHwpt(*made)->is_auto = 1;
  table = *made;
  return {};
}

}  // namespace

Result<uint32_t> NewPageTable(Context& context, uint32_t ioas, const DeviceObject& device) {
  const Result<uint32_t> id = context.New<HwptState>(ObjectKind::kHwptPaging);
  if (!id.ok()) return id;
  HwptState& hwpt = *context.FindHwpt(*id);
  hwpt.ioas = ioas;
  context.AddUser(ioas);
  AddressSpace space = context.SpaceOfHwpt(hwpt);
  Status added;
  {
    const AddressSpace::Lock lock(space);
    added = space.AddDomain(*id, PropertiesOf(context, device));
  }
  if (added.ok()) return id;
  (void)context.Destroy(*id);
  return added.error();
}

Status Attach(Context& context, uint32_t id, uint32_t& table) {
  if (context.FindHwpt(table) != nullptr) return ChangeTable(context, id, table);
  if (context.FindIoas(table) != nullptr) return ChangeSpace(context, id, table);
  if (context.objects().Find(table, ObjectKind::kAny) == nullptr) return kNoObject;
  return Error{EINVAL, "neither an address space nor a page table"};
}

void Detach(Context& context, uint32_t id) {
  DeviceObject& device = *context.FindDevice(id);
  const uint32_t hwpt = device.hwpt;
  if (hwpt == 0) return;
  const uint32_t group = GroupOf(context, device);
  device.hwpt = 0;
  if (group < kFirstMockDevice && TableOfGroup(context, group) == 0) {
    context.host().platform().MoveGroup(group, {});
  }
  ReleaseFor(context, id, hwpt);
  context.DropUser(hwpt);
  context.DropUser(id);
  GiveUp(context, hwpt);
}

}  // namespace compat::native
