// Devices as objects of a context. Internal to this folder. All of it needs the host's lock.
#ifndef COMPAT_NATIVE_BINDING_H_
#define COMPAT_NATIVE_BINDING_H_

#include <cstdint>

#include "compat/native/state.h"
#include "compat/vfio/host.h"
#include "ioas/base/result.h"

namespace compat::native {

// Makes the host's device `device`, which is not bound, an object of the context at arena unit
// `unit`, attached to nothing, for the cdev file `slot`, or vfio::kBoundByGroup. Returns its
// number. EBUSY if another context has a device of the group, ENOMEM (iommufd_device_bind in
// drivers/iommu/iommufd/device.c).
ioas::Result<uint32_t> BindTo(vfio::Host& host, uint32_t device, uint32_t unit, uint32_t slot);

// Detaches and destroys what BindTo made.
void Unbind(vfio::Host& host, uint32_t device);

// A group's container shall be the context: it gets an address space for legacy calls if it has
// none. ENOMEM (iommufd_vfio_compat_ioas_create in drivers/iommu/iommufd/vfio_compat.c).
ioas::Status JoinContext(vfio::Host& host, ContextState& state);

// Binds a device that was opened through its group, and attaches it to the address space of legacy
// calls. The errors of BindTo and Attach, and ENODEV if there is no such address space; then
// nothing has changed (vfio_df_group_open in drivers/vfio/group.c).
ioas::Status BindByGroup(vfio::Host& host, uint32_t device, uint32_t unit);

// Destroys what a context holds whose file has ended, once no device, group or file of events keeps
// it.
void EndContextIfUnused(vfio::Host& host, ContextState& state);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_BINDING_H_
