// Long answers in parts: the next one is on its way while this one is worked on.
#ifndef TOOLS_DAEMON_SERVICES_PARTS_AHEAD_H_
#define TOOLS_DAEMON_SERVICES_PARTS_AHEAD_H_

#include <future>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "compat/session/channel.h"
#include "tools/daemon/sessions/session.h"

namespace tools::daemon {

// Asks `session` for a part with `request`, has `check` turn each answer into a part, as
// questions.h does, and gives it to `take`, which returns false to end it. The session is asked for
// the next part meanwhile.
template <typename Request, typename Check, typename Take>
absl::Status ForEachPart(Session& session, compat::session::Kind kind, Request request,
                         const Check& check, const Take& take) {
  using Answer = absl::StatusOr<Packet>;
  const auto ask = [&session, kind](const Request& asked) {
    auto answer = std::make_shared<std::promise<Answer>>();
    std::future<Answer> future = answer->get_future();
    session.AskAsync(kind, std::as_bytes(std::span(&asked, 1)),
                     [answer](Answer packet) { answer->set_value(std::move(packet)); });
    return future;
  };
  std::future<Answer> answer = ask(request);
  while (true) {
    const Answer packet = answer.get();
    if (!packet.ok()) return packet.status();
    const auto part = check(session, *packet, request);
    if (!part.ok()) return part.status();
    if (part->next) answer = ask(request = *part->next);
    if (!take(*part)) return absl::CancelledError("the caller has gone");
    if (!part->next) return absl::OkStatus();
  }
}

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_PARTS_AHEAD_H_
