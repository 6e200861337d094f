// What the devices of a context are attached to, with and without a PASID, and what can be beside
// it. A group's devices have one page table for each PASID. Internal to this folder.
#ifndef COMPAT_NATIVE_ATTACHED_H_
#define COMPAT_NATIVE_ATTACHED_H_

#include <cstdint>

#include "compat/native/attachment.h"
#include "compat/native/context.h"
#include "ioas/base/result.h"
#include "ioas/pasid_table.h"

namespace compat::native {

// The group of the host's that the device is in; a mock device has one of its own.
uint32_t GroupOf(const Context& context, const DeviceObject& device);

inline ioas::PasidTable<uint32_t> PasidsOf(const Context& context, DeviceObject& device) {
  return {context.host().arena(), &device.pasids};
}

// Notes what `pasid` of the device is attached to. ENOMEM, unless that is nothing, or it has been
// attached.
ioas::Status SetTable(const Context& context, DeviceObject& device, uint32_t pasid, uint32_t hwpt);

// Calls `visit` with each device object of `group`.
template <typename Visit>
void ForEachDevice(const Context& context, uint32_t group, Visit visit) {
  for (const uint32_t id : context.objects().ids()) {
    DeviceObject* const device = context.FindDevice(id);
    if (device != nullptr && GroupOf(context, *device) == group) visit(id, *device);
  }
}

// The same with each of which `pasid` is attached.
template <typename Visit>
void ForEachAttached(const Context& context, uint32_t group, uint32_t pasid, Visit visit) {
  ForEachDevice(context, group, [&](uint32_t id, DeviceObject& device) {
    if (TableOf(context, device, pasid) != 0) visit(id, device);
  });
}

// The page table that `pasid` of the group is attached to; 0: none.
uint32_t TableOfGroup(const Context& context, uint32_t group, uint32_t pasid);

// Whether any PASID of the group is attached, other than kNoPasid.
bool HasPasids(const Context& context, uint32_t group);

// EINVAL if page table `hwpt` cannot be that of `pasid` beside what the group has, or a device of
// the group has no such PASID (iommufd_hwpt_pasid_compat in drivers/iommu/iommufd/device.c,
// iommu_attach_device_pasid in drivers/iommu/iommu.c).
ioas::Status CheckPasid(const Context& context, const DeviceObject& device, uint32_t pasid,
                        uint32_t hwpt);

// Has `pasid` of the group's devices, of which `id` is the one that is asked for in page requests,
// reach what page table `hwpt` holds; 0: nothing. ENOMEM, if it reached nothing before.
ioas::Status MoveGroup(const Context& context, uint32_t id, uint32_t pasid, uint32_t hwpt);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_ATTACHED_H_
