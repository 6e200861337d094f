#include "compat/session/faults.h"

#include <algorithm>

#include "compat/events/events.h"
#include "ioas/soft/faults.h"

namespace compat::session {
namespace {

bool IsFault(const Event& event) { return event.kind == static_cast<uint16_t>(EventKind::kFault); }

// The container that the device at an address is in; 0 if it is in none. Needs the host's lock.
uint32_t ContainerOf(const vfio::Host& host, uint64_t address) {
  const vfio::HostState& state = host.state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    const vfio::DeviceState& device = state.devices[i];
    if (host.arena().Get(device.soft)->address.number() != address) continue;
    const auto container = state.groups[device.group].container;
    return container ? host.arena().Get(container)->number : 0;
  }
  return 0;
}

// The device's lock is held.
void OnFault(const ioas::soft::FaultRecord& fault) {
  events::Emit(EventKind::kFault, 0,
               {.first = fault.iova,
                .last = fault.iova,
                .value = fault.device,
                .access = static_cast<uint32_t>(fault.direction)});
}

}  // namespace

void ObserveFaults(bool observe) { ioas::soft::SetFaultObserver(observe ? &OnFault : nullptr); }

void FindContainersOfFaults(const vfio::Host& host, std::span<Event> events) {
  if (std::none_of(events.begin(), events.end(), IsFault)) return;
  const vfio::Host::TimedLock lock(host, 0);
  if (!lock.held()) return;
  for (Event& event : events) {
    if (IsFault(event)) event.container = ContainerOf(host, event.value);
  }
}

}  // namespace compat::session
