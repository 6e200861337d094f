#include "tools/daemon/sessions/questions.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tools/daemon/errors/errors.h"
#include "tools/daemon/sessions/answer_checks.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;

// Containers that a host can have by far.
constexpr size_t kMaxContainers = 4096;
// A context alone may have as many.
constexpr size_t kMaxIoases = 65536;

absl::Status Wrong(Session& session, absl::string_view what) {
  session.Cut(absl::StrCat("its answer is not right: ", what));
  const std::string name = SessionName(session.identity().id);
  return Error(absl::StatusCode::kUnavailable, "SESSION_WRONG",
               absl::StrCat("session ", name, " gave a wrong answer and was cut off: ", what),
               {{"session", name}});
}

template <typename Body>
std::span<const std::byte> BytesOf(const Body& body) {
  return std::as_bytes(std::span(&body, 1));
}

struct Nothing {};
template <>
std::span<const std::byte> BytesOf(const Nothing&) {
  return {};
}

// A body, and how many bytes are behind it.
template <typename Body>
const Body* WholeBody(const Packet& packet, size_t more) {
  if (packet.size() != sizeof(channel::MessageHeader) + sizeof(Body) + more) return nullptr;
  return channel::BodyOf<Body>(packet);
}

// The elements behind a Body with a `count`, if there is nothing but those and all are right.
template <typename Body, typename Element>
absl::StatusOr<std::span<const Element>> Elements(Session& session, const Packet& packet) {
  const auto* body = channel::BodyOf<Body>(packet);
  if (body == nullptr) return Wrong(session, "a body that is cut short");
  const auto elements = channel::ArrayOf<Body, Element>(packet, body->count);
  if (elements.size() != body->count || WholeBody<Body>(packet, elements.size_bytes()) == nullptr) {
    return Wrong(session, absl::StrCat("it says that it has ", body->count, " elements"));
  }
  for (const Element& element : elements) {
    if (!IsRight(element)) return Wrong(session, "an element with values that do not exist");
  }
  return elements;
}

// Asks what is answered with a Body and nothing behind it.
template <typename Body, typename Request>
absl::StatusOr<Body> AskForBody(Session& session, channel::Kind kind, const Request& request,
                                IfSilent if_silent = IfSilent::kFail) {
  const absl::StatusOr<Packet> packet = session.Ask(kind, BytesOf(request), if_silent);
  if (!packet.ok()) return packet.status();
  const Body* body = WholeBody<Body>(*packet, 0);
  if (body == nullptr) return Wrong(session, "a body of another size");
  return *body;
}

template <typename Request>
absl::Status AskForNothing(Session& session, channel::Kind kind, const Request& request) {
  const absl::StatusOr<Packet> packet = session.Ask(kind, BytesOf(request));
  if (!packet.ok()) return packet.status();
  if (packet->size() != sizeof(channel::MessageHeader)) {
    return Wrong(session, "a body where there is to be none");
  }
  return absl::OkStatus();
}

// Asks what is answered with a Body and its elements; they go into `elements`.
template <typename Body, typename Element, typename Request>
absl::StatusOr<Body> AskForElements(Session& session, channel::Kind kind, const Request& request,
                                    std::vector<Element>& elements) {
  const absl::StatusOr<Packet> packet = session.Ask(kind, BytesOf(request));
  if (!packet.ok()) return packet.status();
  const auto found = Elements<Body, Element>(session, *packet);
  if (!found.ok()) return found.status();
  elements.insert(elements.end(), found->begin(), found->end());
  return *channel::BodyOf<Body>(*packet);
}

// Asks for the elements of a list that comes in parts, ascending by number, until there are more
// than `most`.
template <typename Element>
absl::StatusOr<std::vector<Element>> AskForNumbered(Session& session, channel::Kind kind,
                                                    size_t most) {
  std::vector<Element> elements;
  for (bool more = true; more;) {
    const size_t before = elements.size();
    const uint32_t last = elements.empty() ? 0 : elements.back().number;
    const auto list = AskForElements<channel::ContainerList>(
        session, kind, channel::ListContainers{.after = last, .reserved = 0}, elements);
    if (!list.ok()) return list.status();
    uint32_t number = last;
    for (const Element& element : std::span(elements).subspan(before)) {
      if (element.number <= number) return Wrong(session, "containers that do not ascend");
      number = element.number;
    }
    more = list->more != 0 && elements.size() <= most;
    if (more && list->count == 0) return Wrong(session, "containers without an end");
  }
  return elements;
}

}  // namespace

absl::StatusOr<std::vector<channel::ContainerInfo>> ListContainers(Session& session) {
  auto containers = AskForNumbered<channel::ContainerInfo>(session, channel::Kind::kListContainers,
                                                           kMaxContainers);
  if (containers.ok() && containers->size() > kMaxContainers) {
    return Wrong(session, "containers without an end");
  }
  return containers;
}

absl::StatusOr<std::vector<channel::IoasInfo>> ListIoases(Session& session) {
  auto ioases = AskForNumbered<channel::IoasInfo>(session, channel::Kind::kListIoases, kMaxIoases);
  if (absl::IsUnimplemented(ioases.status())) return std::vector<channel::IoasInfo>();
  if (ioases.ok() && ioases->size() > kMaxIoases) ioases->resize(kMaxIoases);
  return ioases;
}

absl::StatusOr<std::vector<channel::GroupInfo>> ListGroups(Session& session) {
  std::vector<channel::GroupInfo> groups;
  const auto list =
      AskForElements<channel::GroupList>(session, channel::Kind::kListGroups, Nothing(), groups);
  if (!list.ok()) return list.status();
  if (groups.size() > 64) return Wrong(session, "more than 64 groups");
  session.Remember(groups);
  return groups;
}

absl::StatusOr<AddressSpaceAnswer> GetAddressSpace(Session& session, uint32_t container) {
  AddressSpaceAnswer answer;
  const auto info = AskForElements<channel::AddressSpaceInfo>(
      session, channel::Kind::kGetAddressSpace,
      channel::ContainerRef{.container = container, .reserved = 0}, answer.ranges);
  if (!info.ok()) return info.status();
  answer.info = *info;
  return answer;
}

absl::StatusOr<channel::Translated> Translate(Session& session, const channel::Translate& request) {
  auto translated = AskForBody<channel::Translated>(session, channel::Kind::kTranslate, request);
  if (!translated.ok()) return translated;
  const channel::MappingInfo& mapping = translated->mapping;
  if (!IsRight(mapping) || request.iova < mapping.first || request.iova > mapping.last ||
      translated->contiguous == 0 || translated->contiguous - 1 > mapping.last - request.iova) {
    return Wrong(session, "a mapping that the address does not lie in");
  }
  return translated;
}

absl::StatusOr<FreeRangesAnswer> FindRange(Session& session, const channel::FindRange& request) {
  FreeRangesAnswer answer;
  const auto found =
      AskForElements<channel::FoundRange>(session, channel::Kind::kFindRange, request, answer.free);
  if (!found.ok()) return found.status();
  answer.found = *found;
  if (!IsAnswerTo(request, answer.found, answer.free)) {
    return Wrong(session, "ranges other than were asked for");
  }
  return answer;
}

absl::StatusOr<channel::Acted> DoAct(Session& session, const channel::Act& request,
                                     IfSilent if_silent) {
  return AskForBody<channel::Acted>(session, channel::Kind::kAct, request, if_silent);
}

absl::Status SetLimits(Session& session, const channel::SetLimits& request) {
  return AskForNothing(session, channel::Kind::kSetLimits, request);
}

absl::StatusOr<CountersAnswer> GetCounters(Session& session) {
  CountersAnswer answer;
  const auto list = AskForElements<channel::CounterList>(session, channel::Kind::kGetCounters,
                                                         Nothing(), answer.counters);
  if (!list.ok()) return list.status();
  answer.list = *list;
  return answer;
}

absl::StatusOr<FaultsAnswer> ListFaults(Session& session) {
  FaultsAnswer answer;
  const auto list = AskForElements<channel::FaultList>(session, channel::Kind::kListFaults,
                                                       Nothing(), answer.faults);
  if (!list.ok()) return list.status();
  if (!IsRight(*list)) return Wrong(session, "ranges that do not exist");
  answer.list = *list;
  return answer;
}

absl::StatusOr<uint32_t> ClearFaults(Session& session) {
  const auto list = AskForBody<channel::FaultList>(session, channel::Kind::kClearFaults, Nothing());
  if (!list.ok()) return list.status();
  return list->count;
}

absl::Status InjectFaults(Session& session, const channel::InjectFaults& request) {
  return AskForNothing(session, channel::Kind::kInjectFaults, request);
}

absl::StatusOr<channel::DirtyAnswer> DoDirty(Session& session, const channel::Dirty& request) {
  return AskForBody<channel::DirtyAnswer>(session, channel::Kind::kDirty, request);
}

absl::StatusOr<MappingsPart> CheckMappings(Session& session, const Packet& packet,
                                           const channel::ListMappings& request) {
  const auto mappings = Elements<channel::MappingList, channel::MappingInfo>(session, packet);
  if (!mappings.ok()) return mappings.status();
  // The first may begin before the range; later ones ascend from there.
  const channel::MappingInfo* before = nullptr;
  for (const channel::MappingInfo& mapping : *mappings) {
    if (mapping.last < request.first || mapping.first > request.last ||
        (before != nullptr && mapping.first <= before->last)) {
      return Wrong(session, "mappings that do not ascend, or lie outside the range");
    }
    before = &mapping;
  }
  MappingsPart part = {.mappings = *mappings, .next = {}};
  const auto& list = *channel::BodyOf<channel::MappingList>(packet);
  if (list.more == 0) return part;
  if (list.next <= request.first || (before != nullptr && list.next <= before->last)) {
    return Wrong(session, "mappings that go on where they were");
  }
  if (list.next <= request.last) {
    part.next = request;
    part.next->first = list.next;
  }
  return part;
}

absl::StatusOr<DirtyPart> CheckDirty(Session& session, const Packet& packet,
                                     const channel::Dirty& request) {
  const auto* answer = channel::BodyOf<channel::DirtyAnswer>(packet);
  if (answer == nullptr) return Wrong(session, "a body that is cut short");
  const size_t bytes = (size_t{answer->bit_count} + 7) / 8;
  if (answer->bit_count > kMaxDirtyBits ||
      WholeBody<channel::DirtyAnswer>(packet, bytes) == nullptr) {
    return Wrong(session, absl::StrCat("it says that it has ", answer->bit_count, " bits"));
  }
  if (answer->bit_count != 0 && !std::has_single_bit(answer->page_size)) {
    return Wrong(session, absl::StrCat("a page size of ", answer->page_size));
  }
  DirtyPart part = {.answer = *answer,
                    .bits = channel::ArrayOf<channel::DirtyAnswer, std::byte>(packet, bytes),
                    .next = {}};
  if (answer->more == 0) return part;
  if (answer->next <= request.first) return Wrong(session, "bits that go on where they were");
  if (answer->next <= request.last) {
    part.next = request;
    part.next->first = answer->next;
  }
  return part;
}

}  // namespace tools::daemon
