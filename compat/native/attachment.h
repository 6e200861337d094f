// Page tables and the devices that are attached to them.
#ifndef COMPAT_NATIVE_ATTACHMENT_H_
#define COMPAT_NATIVE_ATTACHMENT_H_

#include <cstdint>

#include "compat/native/context.h"
#include "ioas/base/result.h"

namespace compat::native {

// Makes a page table of address space `ioas` for `device`: a domain, with all that is mapped in it
// from now on. Returns its number. Fails as ioas::AddressSpace::AddDomain does, and ENOMEM
// (iommufd_hwpt_paging_alloc).
ioas::Result<uint32_t> NewPageTable(Context& context, uint32_t ioas, const DeviceObject& device);

// Attaches device object `id` to `table`, the number of an address space or of a page table; if it
// is attached already, that one takes the other's place for all devices of its group, at one moment
// for each. Writes the number of the page table to `table`. ENOENT for no object, EINVAL for one of
// another kind or not that of the device's group, EADDRINUSE if what is mapped or allowed lies
// where the device cannot reach, EFAULT if memory is not there, ENOMEM; then nothing has changed.
// Needs the host's lock (iommufd_device_attach and iommufd_device_replace in device.c).
ioas::Status Attach(Context& context, uint32_t id, uint32_t& table);

// Detaches device object `id`; its DMA is blocked once no device of its group is attached. Needs
// the host's lock.
void Detach(Context& context, uint32_t id);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_ATTACHMENT_H_
