// Asynchronous events (5.2): requests that the host leaves with the controller, and what is
// reported by completing them.
#ifndef IOAS_SOFT_NVME_ASYNC_EVENTS_H_
#define IOAS_SOFT_NVME_ASYNC_EVENTS_H_

#include <cstdint>

#include "ioas/soft/nvme/nvme_spec.h"
#include "ioas/soft/nvme/state.h"

namespace ioas::soft::nvme {

enum class AsyncEvent : uint8_t {
  kInvalidDoorbellRegister,
  kInvalidDoorbellValue,
  kReliability,
  kTemperature,
};

// Notes that `event` happened. It is reported once a request waits for it and its type is not
// masked; happening again before that changes nothing. The two about health are dropped unless
// asynchronous event configuration asks for them.
void RaiseEvent(Session& session, AsyncEvent event);

// Carries out Asynchronous Event Request: keeps the request, or kAsyncEventLimitExceeded.
CommandOutcome RequestAsyncEvent(AsyncEvents& events, const SubmissionEntry& command);

// Takes an event that can be reported now, and a request to report it with. False if there are not
// both. `*result` is double word 0 of the completion. The event's type is masked from then on.
bool TakeReport(AsyncEvents& events, uint16_t* command_id, uint32_t* result);

// The host has read `page`, and wants to hear of the events it describes again.
void UnmaskEventsOf(AsyncEvents& events, LogPage page);

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_ASYNC_EVENTS_H_
