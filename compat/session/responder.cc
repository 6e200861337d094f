#include "compat/session/responder.h"

#include "compat/events/events.h"
#include "compat/session/requests.h"
#include "compat/session/writer.h"

namespace compat::session {

using ioas::Error;

size_t Responder::Answer(Packet packet, std::span<std::byte> answer) {
  const auto& header = *reinterpret_cast<const MessageHeader*>(packet.data());
  // Only requests are answered.
  if (header.kind < static_cast<uint16_t>(Kind::kPing) || (header.kind & kAnswerBit) != 0 ||
      header.error != 0) {
    return 0;
  }
  Writer writer(answer, header.kind | kAnswerBit, header.request);
  const ioas::Status status = Handle(static_cast<Kind>(header.kind), packet, writer);
  if (!status.ok() && status.error().code == EPROTO) return 0;
  if (!status.ok()) writer.Refuse(status.error());
  return writer.Finish();
}

ioas::Status Responder::Handle(Kind kind, Packet packet, Writer& answer) {
  const bool has_body = packet.size() != sizeof(MessageHeader);
  switch (kind) {
    case Kind::kPing:
      return has_body ? kNotRight : ioas::Status();
    case Kind::kListContainers:
      return ListContainers(packet, answer);
    case Kind::kListIoases:
      return ListIoases(packet, answer);
    case Kind::kListGroups:
      return has_body ? kNotRight : ListGroups(answer);
    case Kind::kGetAddressSpace:
      return GetAddressSpace(packet, answer);
    case Kind::kListMappings:
      return ListMappings(packet, answer);
    case Kind::kTranslate:
      return Translate(packet, answer);
    case Kind::kFindRange:
      return FindRange(packet, answer);
    case Kind::kSubscribe:
      return Subscribe(packet);
    case Kind::kAct:
      return Act(packet, answer);
    case Kind::kSetLimits:
      return SetLimits(packet);
    case Kind::kGetCounters:
      return has_body ? kNotRight : GetCounters(answer);
    case Kind::kListFaults:
      return has_body ? kNotRight : ListFaults(answer);
    case Kind::kClearFaults:
      return has_body ? kNotRight : ClearFaults(answer);
    case Kind::kInjectFaults:
      return InjectFaults(packet);
    case Kind::kDirty:
      return Dirty(packet, answer);
    default:
      return Error{ENOSYS, "no such request"};
  }
}

ioas::Status Responder::Subscribe(Packet packet) const {
  const auto* const request = WholeBody<session::Subscribe>(packet);
  if (request == nullptr) return kNotRight;
  if (!events::Watch(request->kinds, wake_)) return Error{ENOMEM, "no memory for events"};
  return {};
}

}  // namespace compat::session
