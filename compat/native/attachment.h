// Page tables and the devices that are attached to them.
#ifndef COMPAT_NATIVE_ATTACHMENT_H_
#define COMPAT_NATIVE_ATTACHMENT_H_

#include <cstdint>

#include "compat/native/context.h"
#include "ioas/backend.h"
#include "ioas/base/result.h"

namespace compat::native {

// What the IOMMU behind `device` is like.
ioas::IommuProperties PropertiesOf(const Context& context, const DeviceObject& device);
// How many bits the device's PASIDs have; 0: it has none.
uint8_t PasidBitsOf(const Context& context, const DeviceObject& device);

// Makes a page table of address space `ioas` for `device`: a domain, with all that is mapped in it
// from now on. Returns its number. Fails as ioas::AddressSpace::AddDomain does, and ENOMEM
// (iommufd_hwpt_paging_alloc).
ioas::Result<uint32_t> NewPageTable(Context& context, uint32_t ioas, const DeviceObject& device);

// In place of a PASID: accesses that name none, which is also what PASID 0 is (IOMMU_NO_PASID).
inline constexpr uint32_t kNoPasid = 0;

// What `pasid` of the device is attached to; 0: nothing.
uint32_t TableOf(const Context& context, DeviceObject& device, uint32_t pasid);

// Attaches `pasid` of device object `id` to `table`, the number of an address space or of a page
// table; page tables that were not made for PASIDs are for kNoPasid alone, and for devices of which
// no PASID is attached. Writes the number of the page table to `table`. ENOENT for no object, EBUSY
// if the PASID is attached, EINVAL for an object of another kind, a page table that is not that of
// the device's group, that is not for this, or that its IOMMU cannot do, and for a PASID that is
// above those of a device of the group; EADDRINUSE if what is mapped or allowed lies where the
// device cannot reach, EFAULT if memory is not there, ENOMEM; then nothing has changed. Needs the
// host's lock (iommufd_device_attach in device.c, iommu_attach_device_pasid in iommu.c of 6.17).
ioas::Status Attach(Context& context, uint32_t id, uint32_t pasid, uint32_t& table);

// The same for a PASID that is attached (EINVAL if it is not): `table` takes the other one's place
// for all devices of the group, at one moment for each (iommufd_device_replace).
ioas::Status Replace(Context& context, uint32_t id, uint32_t pasid, uint32_t& table);

// The queue that page table `hwpt` asks for what it lacks; 0: none.
uint32_t FaultOf(const Context& context, uint32_t hwpt);

// Detaches `pasid` of device object `id`, if it is attached; its DMA is blocked once no device of
// its group is attached. Needs the host's lock.
void Detach(Context& context, uint32_t id, uint32_t pasid);

// The same for all PASIDs and for kNoPasid.
void DetachAll(Context& context, uint32_t id);

// Has the devices of the context reach what their objects say: a process died in the middle of a
// change.
void RestoreTargets(const Context& context);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_ATTACHMENT_H_
