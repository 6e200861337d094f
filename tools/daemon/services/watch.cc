#include "tools/daemon/services/watch.h"

#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "tools/daemon/events/event_log.h"
#include "tools/daemon/services/convert.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/sessions/registry.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
using std::chrono::milliseconds;

constexpr size_t kMaxEvents = 1000;  // of one response
// The least time between two responses: events that come meanwhile go together.
constexpr milliseconds kRound{10};
// How often it is looked whether the caller has gone, while nothing happens.
constexpr milliseconds kLook{500};

absl::StatusOr<EventFilter> FilterOf(const Parts& parts, const Guard::Admission& admission,
                                     const api::WatchRequest& request) {
  EventFilter filter = {.all_users = admission.caller.role_on_others >= Role::kReader,
                        .uid = admission.caller.uid};
  if (!request.session().empty()) {
    const auto session = FindSession(admission, parts.registry, request.session());
    if (!session.ok()) return session.status();
    filter.session = (*session)->identity().id;
  }
  if (request.kinds_size() == 0) return filter;
  filter.kinds = 0;
  for (int i = 0; i < request.kinds_size(); ++i) {
    const int kind = request.kinds(i);
    if (kind <= 0 || kind >= static_cast<int>(kEventKinds)) {
      return InvalidField(absl::StrCat("kinds[", i, "]"),
                          absl::StrCat(kind, " is no kind of event"));
    }
    filter.kinds |= 1u << kind;
  }
  return filter;
}

}  // namespace

absl::Status Watch(const Parts& parts, const Guard::Admission& admission,
                   grpc::ServerContext& context, const api::WatchRequest& request,
                   grpc::ServerWriter<api::WatchResponse>& writer) {
  const absl::StatusOr<EventFilter> filter = FilterOf(parts, admission, request);
  if (!filter.ok()) return filter.status();
  const auto reader = parts.log.Open(*filter, request.from_sequence());
  if (!reader) {
    return FieldError(
        absl::StatusCode::kOutOfRange, "SEQUENCE_NOT_REACHED", "from_sequence",
        absl::StrCat(request.from_sequence(), " was not reached yet: the newest event has number ",
                     parts.log.newest()));
  }
  // So that the caller knows from when on nothing is missed.
  writer.SendInitialMetadata();
  api::WatchResponse response;
  while (!context.IsCancelled() && !parts.log.is_stopped()) {
    const auto now = EventLog::Clock::now();
    const EventLog::Batch batch = reader->Read(kMaxEvents);
    if (!batch.events.empty() || batch.dropped != 0) {
      response.Clear();
      for (const LoggedEvent& event : batch.events) Describe(event, *response.add_events());
      response.set_dropped(batch.dropped);
      response.set_next_sequence(batch.next_sequence);
      if (!writer.Write(response)) break;
    }
    if (!batch.is_last) continue;
    parts.log.WaitForStop(now + kRound);
    parts.log.WaitBeyond(batch.next_sequence - 1, now + kLook);
  }
  return Error(absl::StatusCode::kCancelled, "WATCH_ENDED",
               "the caller has gone, or the daemon ends");
}

}  // namespace tools::daemon
