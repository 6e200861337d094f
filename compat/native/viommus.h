// IOMMUs that a program emulates on a page table of its own (vIOMMUs), and the numbers that devices
// have in them. Internal to this folder.
#ifndef COMPAT_NATIVE_VIOMMUS_H_
#define COMPAT_NATIVE_VIOMMUS_H_

#include <cstdint>

#include "compat/native/context.h"
#include "ioas/base/result.h"
#include "ioas/soft/iommu_events.h"

namespace compat::native {

// What the software IOMMU knows of it.
ioas::soft::IommuEvents EventsOf(const Context& context, const ViommuState& viommu);

// Makes one on the page table `parent`. Returns its number. ENOMEM.
ioas::Result<uint32_t> NewViommu(Context& context, uint32_t parent, uint32_t type);
// Gives a device its number. EINVAL if it is behind another IOMMU, EEXIST if it has one, or another
// has that number, ENOMEM.
ioas::Result<uint32_t> NewVdevice(Context& context, const VdeviceState& vdevice);
// Takes what device object `id` has of that: nothing ever has the object's number again.
void RemoveVdeviceOf(Context& context, uint32_t id);

// Whether the vIOMMU has a queue for events of `type`.
bool HasVeventq(const Context& context, uint32_t viommu, uint32_t type);

// Undo what the objects did while they were there: to be called before they are taken out.
void EndVdevice(const Context& context, const VdeviceState& vdevice);
void EndVeventq(const Context& context, const VeventqState& queue);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_VIOMMUS_H_
