// What the software IOMMU reports to a program that emulates an IOMMU: faults of devices that the
// program gave numbers of its own.
#ifndef IOAS_SOFT_IOMMU_EVENTS_H_
#define IOAS_SOFT_IOMMU_EVENTS_H_

#include <cstdint>
#include <optional>

#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/soft/event_file.h"
#include "ioas/soft/faults.h"

namespace ioas::soft {

struct IommuEvent {
  uint64_t virtual_id;  // the program's number of the device
  uint64_t address;     // the first byte that could not be reached
  uint32_t access;      // one Access bit
  FaultReason reason;
};

// An event queue keeps no more events than this, however deep it is to be.
inline constexpr uint32_t kMaxQueuedEvents = 1024;

struct QueuedEvent {
  uint32_t sequence;
  IommuEvent event;
};

// Lies in the arena. Its lock is one of the last to be taken.
struct EventQueueState {
  RobustMutex mutex;
  EventFileName file;  // readable while an event is to be read
  uint32_t depth;
  uint32_t first;  // the oldest event's place
  uint32_t count;
  uint32_t next_sequence;
  uint32_t has_lost;  // events were lost behind those that are there
  uint32_t lost_sequence;
  ArenaRef<QueuedEvent> events;  // `depth` of them
};

// What is to be read next: an event, or that some were lost.
struct NextEvent {
  uint32_t sequence;
  std::optional<IommuEvent> event;
};

// A view: two pointers. Any thread and process may call. Behaviour: iommufd_viommu_report_event in
// drivers/iommu/iommufd/driver.c, iommufd_vevent_handler in iommufd_private.h.
class EventQueue {
 public:
  EventQueue(const Arena& arena, ArenaRef<EventQueueState> state)
      : arena_(arena), state_(arena.Get(state)) {}

  // Makes a queue of `depth` events, at least 1, or of kMaxQueuedEvents. ENOMEM.
  static Result<ArenaRef<EventQueueState>> Create(Arena& arena, uint32_t depth,
                                                  const EventFileName& file);
  static void Delete(Arena& arena, ArenaRef<EventQueueState> queue);

  // Each takes the next sequence number; what finds no room is lost, and only that is told.
  void Add(const IommuEvent& event);
  // Readers see to it that there is one of them at a time.
  std::optional<NextEvent> Oldest() const;
  // `next` was read. `fd`: a descriptor of the file, unless it is negative.
  void Remove(const NextEvent& next, int fd);

 private:
  QueuedEvent& At(uint32_t place) const {
    return arena_.Get(state_->events)[place % state_->depth];
  }

  Arena arena_;
  EventQueueState* state_;
};

inline constexpr uint32_t kMaxVirtualDevices = 64;

// What one emulated IOMMU knows. Lies in the arena; its lock is taken before a queue's.
struct IommuEventsState {
  RobustMutex mutex;
  ArenaRef<EventQueueState> queue;  // 0: nobody wants to know
  struct VirtualDevice {
    uint32_t is_there;
    uint32_t device;  // PciAddress::number()
    uint64_t virtual_id;
  } devices[kMaxVirtualDevices];
};

// A view, as above.
class IommuEvents {
 public:
  IommuEvents(const Arena& arena, IommuEventsState* state) : arena_(arena), state_(state) {}

  void Initialize() { state_->mutex.Initialize(); }

  // Where events go from now on; 0: nowhere.
  void SetQueue(ArenaRef<EventQueueState> queue);
  // Gives `device` a number. ENOMEM if kMaxVirtualDevices have one.
  Status AddDevice(uint32_t device, uint64_t virtual_id);
  void RemoveDevice(uint32_t device);
  // Whether a device has that number.
  bool HasVirtualId(uint64_t virtual_id) const;
  // Tells of `fault`, if its device has a number.
  void Report(const FaultRecord& fault) const;

 private:
  Arena arena_;
  IommuEventsState* state_;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_IOMMU_EVENTS_H_
