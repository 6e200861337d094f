// What a session can be asked, each question with the answer checked: a session whose answer is not
// right is cut off. All of them wait a second at most for each message, and fail as Session::Ask
// does; kUnavailable ("SESSION_WRONG") if the session was cut off.
#ifndef TOOLS_DAEMON_SESSIONS_QUESTIONS_H_
#define TOOLS_DAEMON_SESSIONS_QUESTIONS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "compat/session/channel.h"
#include "tools/daemon/sessions/session.h"

namespace tools::daemon {

// Most bits in one part of a dirty bitmap.
inline constexpr uint32_t kMaxDirtyBits = 1u << 18;

// The containers of its host, ascending by number.
absl::StatusOr<std::vector<compat::session::ContainerInfo>> ListContainers(Session& session);
// The address spaces of iommufd's contexts on its host, ascending by number, the first 65,536 of
// them; none where the program's library is older than these.
absl::StatusOr<std::vector<compat::session::IoasInfo>> ListIoases(Session& session);
// The groups of its host, at most 64; the session remembers them.
absl::StatusOr<std::vector<compat::session::GroupInfo>> ListGroups(Session& session);

struct AddressSpaceAnswer {
  compat::session::AddressSpaceInfo info;
  std::vector<compat::session::RangeInfo> ranges;
};
absl::StatusOr<AddressSpaceAnswer> GetAddressSpace(Session& session, uint32_t container);

absl::StatusOr<compat::session::Translated> Translate(Session& session,
                                                      const compat::session::Translate& request);

struct FreeRangesAnswer {
  compat::session::FoundRange found;
  std::vector<compat::session::IovaLimits> free;
};
absl::StatusOr<FreeRangesAnswer> FindRange(Session& session,
                                           const compat::session::FindRange& request);

absl::StatusOr<compat::session::Acted> DoAct(Session& session, const compat::session::Act& request,
                                             IfSilent if_silent = IfSilent::kFail);
absl::Status SetLimits(Session& session, const compat::session::SetLimits& request);

struct CountersAnswer {
  compat::session::CounterList list;
  std::vector<compat::session::Counter> counters;
};
absl::StatusOr<CountersAnswer> GetCounters(Session& session);

struct FaultsAnswer {
  compat::session::FaultList list;
  std::vector<compat::session::FaultInfo> faults;
};
absl::StatusOr<FaultsAnswer> ListFaults(Session& session);
// The number of records that there were.
absl::StatusOr<uint32_t> ClearFaults(Session& session);
absl::Status InjectFaults(Session& session, const compat::session::InjectFaults& request);

// kStart and kStop.
absl::StatusOr<compat::session::DirtyAnswer> DoDirty(Session& session,
                                                     const compat::session::Dirty& request);

// Long answers come in parts, which are asked for one after the other: an answer is turned into a
// Part, which points into the packet.

// Part of the mappings of a container.
struct MappingsPart {
  std::span<const compat::session::MappingInfo> mappings;
  std::optional<compat::session::ListMappings> next;  // what to ask next; nothing: this is the last
};
absl::StatusOr<MappingsPart> CheckMappings(Session& session, const Packet& packet,
                                           const compat::session::ListMappings& request);

// Part of a dirty bitmap.
struct DirtyPart {
  compat::session::DirtyAnswer answer;
  std::span<const std::byte> bits;
  std::optional<compat::session::Dirty> next;
};
absl::StatusOr<DirtyPart> CheckDirty(Session& session, const Packet& packet,
                                     const compat::session::Dirty& request);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_QUESTIONS_H_
