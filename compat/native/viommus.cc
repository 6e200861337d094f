#include "compat/native/viommus.h"

#include <cerrno>

#include "compat/abi/iommufd_soft.h"
#include "compat/vfio/platform.h"

namespace compat::native {

using ioas::Error;
using ioas::Result;
using ioas::Status;
using ioas::soft::IommuEvents;
using ioas::soft::IommuEventsState;

namespace {

// Calls `visit(id, vdevice)` with each.
template <typename Visit>
void ForEachVdevice(const Context& context, Visit visit) {
  for (const uint32_t id : context.objects().ids()) {
    if (const VdeviceState* const vdevice = context.FindVdevice(id)) visit(id, *vdevice);
  }
}

}  // namespace

IommuEvents EventsOf(const Context& context, const ViommuState& viommu) {
  const ioas::Arena arena = context.host().arena();
  return {arena, arena.Get(viommu.events)};
}

Result<uint32_t> NewViommu(Context& context, uint32_t parent, uint32_t type) {
  const Result<uint32_t> id = context.New<ViommuState>(ObjectKind::kViommu);
  if (!id.ok()) return id;
  ioas::Arena arena = context.host().arena();
  const auto events = arena.New<IommuEventsState>();
  if (!events.ok()) {
    (void)context.Destroy(*id);
    return events.error();
  }
  ViommuState& viommu = *context.FindViommu(*id);
  viommu = {.parent = parent, .type = type, .events = *events};
  EventsOf(context, viommu).Initialize();
  context.AddUser(parent);
  return id;
}

Result<uint32_t> NewVdevice(Context& context, const VdeviceState& vdevice) {
  if (context.FindDevice(vdevice.device)->device >= kFirstMockDevice) {
    return Error{EINVAL, "the device is behind another IOMMU"};
  }
  bool is_taken = false;
  ForEachVdevice(context, [&](uint32_t, const VdeviceState& each) {
    is_taken |= each.device == vdevice.device;
  });
  IommuEvents events = EventsOf(context, *context.FindViommu(vdevice.viommu));
  if (is_taken || events.HasVirtualId(vdevice.virt_id)) {
    return Error{EEXIST, "the device has a number, or another device has this one"};
  }
  const Result<uint32_t> id = context.New<VdeviceState>(ObjectKind::kVdevice);
  if (!id.ok()) return id;
  const uint32_t device = context.FindDevice(vdevice.device)->device;
  const uint32_t fault_number = context.host().platform().FaultNumberOf(device);
  const Status added = events.AddDevice(fault_number, vdevice.virt_id);
  if (!added.ok()) {
    (void)context.Destroy(*id);
    return added.error();
  }
  VdeviceState& made = *context.FindVdevice(*id);
  made = vdevice;
  made.fault_number = fault_number;
  context.AddUser(vdevice.viommu);
  return id;
}

void RemoveVdeviceOf(Context& context, uint32_t id) {
  uint32_t found = 0;
  ForEachVdevice(context, [&](uint32_t vdevice_id, const VdeviceState& vdevice) {
    if (vdevice.device == id) found = vdevice_id;
  });
  if (found != 0) context.Bury(found);
}

bool HasVeventq(const Context& context, uint32_t viommu, uint32_t type) {
  for (const uint32_t id : context.objects().ids()) {
    const VeventqState* const queue = context.FindVeventq(id);
    if (queue != nullptr && queue->viommu == viommu && queue->type == type) return true;
  }
  return false;
}

void EndVdevice(const Context& context, const VdeviceState& vdevice) {
  const ViommuState* const viommu = context.FindViommu(vdevice.viommu);
  if (viommu == nullptr) return;
  EventsOf(context, *viommu).RemoveDevice(vdevice.fault_number);
}

void EndVeventq(const Context& context, const VeventqState& queue) {
  const ViommuState* const viommu = context.FindViommu(queue.viommu);
  if (viommu == nullptr || queue.type != abi::iommufd::kVeventqTypeSoft) return;
  EventsOf(context, *viommu).SetQueue({});
}

}  // namespace compat::native
