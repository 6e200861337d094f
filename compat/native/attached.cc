#include "compat/native/attached.h"

#include <cerrno>

#include "compat/native/mock_devices.h"
#include "compat/vfio/platform.h"

namespace compat::native {

using ioas::Error;
using ioas::Status;

namespace {

bool IsForPasids(const Context& context, uint32_t hwpt) {
  if (const NestedState* const nested = context.FindNested(hwpt)) return nested->is_for_pasids != 0;
  const HwptState* const paging = context.FindHwpt(hwpt);
  return paging != nullptr && paging->is_for_pasids != 0;
}

// EINVAL if `pasid` is more than one of the group's devices can say. Those that can say none say
// none that is wrong.
Status CheckRange(const Context& context, const DeviceObject& device, uint32_t pasid) {
  constexpr Error kTooLarge = {EINVAL, "a device of the group has no such PASID"};
  const auto is_beyond = [pasid](uint8_t bits) { return bits != 0 && pasid >> bits != 0; };
  if (device.device >= kFirstMockDevice) {
    return is_beyond(PasidBitsOf(context, device)) ? Status(kTooLarge) : Status();
  }
  const vfio::HostState& host = context.host().state();
  for (uint32_t i = 0; i < host.device_count; ++i) {
    const bool is_in_group = host.devices[i].group == GroupOf(context, device);
    if (is_in_group && is_beyond(context.host().platform().PasidBitsOf(i))) return kTooLarge;
  }
  // No device at all has more.
  return pasid < ioas::kPasids ? Status() : Status(kTooLarge);
}

}  // namespace

uint32_t GroupOf(const Context& context, const DeviceObject& device) {
  // Each has a group of its own.
  if (device.device >= kFirstMockDevice) return device.device;
  return context.host().state().devices[device.device].group;
}

uint32_t TableOf(const Context& context, DeviceObject& device, uint32_t pasid) {
  if (pasid == kNoPasid) return device.hwpt;
  return PasidsOf(context, device).Get(pasid);
}

Status SetTable(const Context& context, DeviceObject& device, uint32_t pasid, uint32_t hwpt) {
  if (pasid == kNoPasid) {
    device.hwpt = hwpt;
    return {};
  }
  if (hwpt != 0) return PasidsOf(context, device).Set(pasid, hwpt);
  PasidsOf(context, device).Remove(pasid);
  return {};
}

uint32_t TableOfGroup(const Context& context, uint32_t group, uint32_t pasid) {
  uint32_t table = 0;
  ForEachAttached(context, group, pasid,
                  [&](uint32_t, DeviceObject& device) { table = TableOf(context, device, pasid); });
  return table;
}

bool HasPasids(const Context& context, uint32_t group) {
  bool has_pasids = false;
  ForEachDevice(context, group, [&](uint32_t, DeviceObject& device) {
    has_pasids |= !PasidsOf(context, device).empty();
  });
  return has_pasids;
}

Status CheckPasid(const Context& context, const DeviceObject& device, uint32_t pasid,
                  uint32_t hwpt) {
  constexpr Error kNotForPasids = {EINVAL, "the page table was not made for PASIDs"};
  const uint32_t group = GroupOf(context, device);
  if (pasid == kNoPasid) {
    const bool is_wrong = !IsForPasids(context, hwpt) && HasPasids(context, group);
    return is_wrong ? Status(kNotForPasids) : Status();
  }
  const uint32_t device_table = TableOfGroup(context, group, kNoPasid);
  if (!IsForPasids(context, hwpt) || (device_table != 0 && !IsForPasids(context, device_table))) {
    return kNotForPasids;
  }
  return CheckRange(context, device, pasid);
}

Status MoveGroup(const Context& context, uint32_t id, uint32_t pasid, uint32_t hwpt) {
  const uint32_t group = GroupOf(context, *context.FindDevice(id));
  // Nothing is behind mock devices.
  if (group >= kFirstMockDevice) return {};
  ioas::DmaTarget target;
  if (hwpt != 0) {
    const HwptState& paging = *context.FindPaging(hwpt);
    const NestedState* const nested = context.FindNested(hwpt);
    target = {context.FindIoas(paging.ioas)->space,
              nested != nullptr ? nested->domain : paging.domain, id};
  }
  vfio::Platform& platform = context.host().platform();
  if (pasid != kNoPasid) return platform.MovePasid(group, pasid, target);
  platform.MoveGroup(group, target);
  return {};
}

// By what is attached now, and then by what a device reaches without.
void RestoreTargets(const Context& context) {
  for (const uint32_t id : context.objects().ids()) {
    DeviceObject* const device = context.FindDevice(id);
    if (device == nullptr || device->device >= kFirstMockDevice) continue;
    const uint32_t group = GroupOf(context, *device);
    (void)MoveGroup(context, id, kNoPasid, TableOfGroup(context, group, kNoPasid));
    const ioas::PasidTable<uint32_t> pasids = PasidsOf(context, *device);
    for (const uint32_t pasid : pasids.pasids()) {
      (void)MoveGroup(context, id, pasid, pasids.Get(pasid));
    }
    vfio::Platform& platform = context.host().platform();
    for (uint32_t pasid = 0; (pasid = platform.NextPasid(group, pasid)) != ioas::kPasids; ++pasid) {
      if (TableOfGroup(context, group, pasid) == 0) (void)platform.MovePasid(group, pasid, {});
    }
  }
}

}  // namespace compat::native
