#include "ioas/soft/iommu_events.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <span>

namespace ioas::soft {

Result<ArenaRef<EventQueueState>> EventQueue::Create(Arena& arena, uint32_t depth,
                                                     const EventFileName& file) {
  depth = std::min(depth, kMaxQueuedEvents);
  const auto made = arena.New<EventQueueState>();
  if (!made.ok()) return made.error();
  const auto events = arena.New<QueuedEvent>(depth);
  if (!events.ok()) {
    arena.Delete(*made);
    return events.error();
  }
  EventQueueState& state = *arena.Get(*made);
  state.mutex.Initialize();
  state.file = file;
  state.depth = depth;
  state.events = *events;
  return *made;
}

void EventQueue::Delete(Arena& arena, ArenaRef<EventQueueState> queue) {
  if (!queue) return;
  const EventQueueState& state = *arena.Get(queue);
  arena.Delete(state.events, state.depth);
  arena.Delete(queue);
}

void EventQueue::Add(const IommuEvent& event) {
  const RobustLock lock(state_->mutex);
  const uint32_t sequence = state_->next_sequence;
  state_->next_sequence = (sequence + 1) & INT_MAX;
  if (state_->count == state_->depth) {
    state_->has_lost = 1;
    state_->lost_sequence = sequence;
  } else {
    At(state_->first + state_->count) = {sequence, event};
    ++state_->count;
    // The gap in the numbers tells it from here on.
    state_->has_lost = 0;
  }
  MakeReadable(state_->file);
}

std::optional<NextEvent> EventQueue::Oldest() const {
  const RobustLock lock(state_->mutex);
  if (state_->count != 0) {
    const QueuedEvent& oldest = At(state_->first);
    return NextEvent{oldest.sequence, oldest.event};
  }
  if (state_->has_lost != 0) return NextEvent{state_->lost_sequence, std::nullopt};
  return std::nullopt;
}

void EventQueue::Remove(const NextEvent& next, int fd) {
  const RobustLock lock(state_->mutex);
  if (next.event && state_->count != 0 && At(state_->first).sequence == next.sequence) {
    state_->first = (state_->first + 1) % state_->depth;
    --state_->count;
  } else if (!next.event && state_->lost_sequence == next.sequence) {
    state_->has_lost = 0;
  }
  if (fd >= 0 && state_->count == 0 && state_->has_lost == 0) MakeUnreadable(fd);
}

void IommuEvents::SetQueue(ArenaRef<EventQueueState> queue) {
  const RobustLock lock(state_->mutex);
  state_->queue = queue;
}

Status IommuEvents::AddDevice(uint32_t device, uint64_t virtual_id) {
  const RobustLock lock(state_->mutex);
  for (auto& each : state_->devices) {
    if (each.is_there != 0) continue;
    each = {1, device, virtual_id};
    return {};
  }
  return Error{ENOMEM, "too many devices"};
}

void IommuEvents::RemoveDevice(uint32_t device) {
  const RobustLock lock(state_->mutex);
  for (auto& each : state_->devices) {
    if (each.device == device) each.is_there = 0;
  }
}

bool IommuEvents::HasVirtualId(uint64_t virtual_id) const {
  const RobustLock lock(state_->mutex);
  const std::span devices(state_->devices);
  return std::any_of(devices.begin(), devices.end(), [virtual_id](const auto& each) {
    return each.is_there != 0 && each.virtual_id == virtual_id;
  });
}

void IommuEvents::Report(const FaultRecord& fault) const {
  const RobustLock lock(state_->mutex);
  if (!state_->queue) return;
  for (const auto& each : state_->devices) {
    if (each.is_there == 0 || each.device != fault.device) continue;
    EventQueue(arena_, state_->queue)
        .Add({each.virtual_id, fault.iova, fault.direction, fault.reason});
    return;
  }
}

}  // namespace ioas::soft
