#include "compat/native/view.h"

#include <cerrno>

#include "compat/native/attached.h"
#include "compat/native/context.h"
#include "ioas/base/system_call.h"

namespace compat::native {
namespace {

using vfio::IoasView;

static_assert(kMaxObjects <= 1u << vfio::kIoasContextShift);

// The open context of the lowest number from `first` on; null if there is none.
ContextState* FindContext(const vfio::Host& host, uint32_t first) {
  ContextState* found = nullptr;
  for (auto ref = host.state().contexts; ref;) {
    ContextState* const context = host.arena().Get(ref);
    ref = context->next;
    if (context->in_use == 0 || context->number < first) continue;
    if (found == nullptr || context->number < found->number) found = context;
  }
  return found;
}

// What one context has.
class ContextView {
 public:
  explicit ContextView(const Context& context) : context_(context) {
    for (const uint32_t id : context.objects().ids()) {
      const DeviceObject* const device = context.FindDevice(id);
      if (device == nullptr || device->device >= vfio::kMaxDevices) continue;
      if (count_ < vfio::kMaxDevices) devices_[count_++] = {id, device->device};
    }
  }

  // Whether `visitor` wants to see more.
  bool Show(uint32_t first, vfio::IoasVisitor& visitor) const {
    const ContextState& state = context_.state();
    for (const uint32_t id : context_.objects().ids()) {
      const IoasState* const ioas = context_.FindIoas(id);
      const uint32_t number = session::kIoasBit | state.number << vfio::kIoasContextShift | id;
      if (ioas == nullptr || number < first) continue;
      const IoasView view = {.number = number,
                             .context = state.number,
                             .object = id,
                             .opener = state.opener,
                             .groups = GroupsOn(id),
                             .devices = std::span(devices_, count_),
                             .space = ioas->space};
      if (!visitor.Visit(view)) return false;
    }
    return true;
  }

 private:
  // Whether page table `hwpt` (0: none) leads to the address space.
  bool LeadsTo(uint32_t hwpt, uint32_t space) const {
    const HwptState* const table = context_.FindPaging(hwpt);
    return table != nullptr && table->ioas == space;
  }
  bool IsReachedBy(DeviceObject& device, uint32_t space) const {
    if (LeadsTo(device.hwpt, space)) return true;
    const ioas::PasidTable<uint32_t> pasids = PasidsOf(context_, device);
    for (const uint32_t pasid : pasids.pasids()) {
      if (LeadsTo(pasids.Get(pasid), space)) return true;
    }
    return false;
  }
  uint64_t GroupsOn(uint32_t space) const {
    uint64_t groups = 0;
    for (const IoasView::BoundDevice& bound : std::span(devices_, count_)) {
      if (!IsReachedBy(*context_.FindDevice(bound.object), space)) continue;
      groups |= uint64_t{1} << context_.host().state().devices[bound.device].group;
    }
    return groups;
  }

  const Context& context_;
  IoasView::BoundDevice devices_[vfio::kMaxDevices];
  size_t count_ = 0;
};

}  // namespace

void NumberContext(vfio::Host& host, ContextState& context) {
  uint32_t& last = host.state().contexts_opened;
  context.number = 0;
  const ContextState* taken = nullptr;
  do {
    last = last % vfio::kLastContext + 1;
    taken = FindContext(host, last);
  } while (taken != nullptr && taken->number == last);
  context.number = last;
  context.opener = static_cast<uint32_t>(ioas::SystemCall(SYS_getpid));
}

ioas::Status VisitIoases(vfio::Host& host, uint32_t first, uint32_t patience,
                         vfio::IoasVisitor& visitor) {
  uint32_t number = (first & ~session::kIoasBit) >> vfio::kIoasContextShift;
  while (ContextState* const state = FindContext(host, number)) {
    const ioas::TimedRobustLock lock(state->mutex, patience);
    if (!lock.held()) return ioas::Error{EBUSY, "the lock of a context of iommufd is held"};
    const Context context({host, *state, state->slot}, lock);
    if (!ContextView(context).Show(first, visitor)) break;
    number = state->number + 1;
  }
  return {};
}

}  // namespace compat::native
