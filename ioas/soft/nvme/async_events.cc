#include "ioas/soft/nvme/async_events.h"

#include <iterator>

namespace ioas::soft::nvme {
namespace {

struct EventRow {
  uint8_t type;
  uint8_t information;
  LogPage page;
  uint8_t warning;  // the critical warning that must be enabled; 0: none
};

// By AsyncEvent. Types and information: figures 145 to 148.
constexpr EventRow kEvents[] = {
    {0, 0, LogPage::kErrorInformation, 0},
    {0, 1, LogPage::kErrorInformation, 0},
    {1, 0, LogPage::kSmartHealth, kWarningReliability},
    {1, 1, LogPage::kSmartHealth, kWarningTemperature},
};

}  // namespace

void RaiseEvent(Session& session, AsyncEvent event) {
  const auto index = static_cast<uint32_t>(event);
  const uint8_t warning = kEvents[index].warning;
  if (warning != 0 && (session.features.async_events & warning) == 0) return;
  session.events.pending |= 1U << index;
}

CommandOutcome RequestAsyncEvent(AsyncEvents& events, const SubmissionEntry& command) {
  // A process that died here may have kept the request already.
  for (uint32_t i = 0; i < events.outstanding; ++i) {
    if (events.command_ids[i] == command.command_id) return {.outstanding = true};
  }
  if (events.outstanding == kAsyncEventRequests) {
    return {.status = CommandStatus::kAsyncEventLimitExceeded};
  }
  events.command_ids[events.outstanding] = command.command_id;
  ++events.outstanding;
  return {.outstanding = true};
}

bool TakeReport(AsyncEvents& events, uint16_t* command_id, uint32_t* result) {
  if (events.pending == 0 || events.outstanding == 0) return false;
  for (uint32_t i = 0; i < std::size(kEvents); ++i) {
    const EventRow& row = kEvents[i];
    const bool masked = (events.masked_types >> row.type & 1) != 0;
    if ((events.pending >> i & 1) == 0 || masked) continue;
    events.pending &= ~(1U << i);
    events.masked_types |= 1U << row.type;
    *command_id = events.command_ids[--events.outstanding];
    *result = row.type | row.information << 8 | static_cast<uint32_t>(row.page) << 16;
    return true;
  }
  return false;
}

void UnmaskEventsOf(AsyncEvents& events, LogPage page) {
  for (const EventRow& row : kEvents) {
    if (row.page == page) events.masked_types &= ~(1U << row.type);
  }
}

}  // namespace ioas::soft::nvme
