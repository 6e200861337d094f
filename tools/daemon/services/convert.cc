#include "tools/daemon/services/convert.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "compat/decode/call.h"
#include "compat/settings/pci_address.h"
#include "tools/daemon/services/requests.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;
using compat::decode::ContainerType;

constexpr std::pair<ContainerType, api::ContainerType> kTypes[] = {
    {ContainerType::kType1, api::CONTAINER_TYPE_TYPE1},
    {ContainerType::kType1v2, api::CONTAINER_TYPE_TYPE1_V2},
    {ContainerType::kNoIommu, api::CONTAINER_TYPE_NOIOMMU},
    {ContainerType::kSpaprV1, api::CONTAINER_TYPE_SPAPR},
    {ContainerType::kSpaprV2, api::CONTAINER_TYPE_SPAPR_V2},
};

void SetRange(uint64_t first, uint64_t last, api::Range& range) {
  range.set_first(first);
  range.set_last(last);
}

void Describe(const channel::Limits& limits, api::Limits& out) {
  out.set_mapped_bytes(limits.mapped_bytes);
  out.set_mapping_count(limits.mapping_count);
  for (const channel::IovaLimits& range : std::span(limits.ranges).first(limits.range_count)) {
    SetRange(range.first, range.last, *out.add_allowed_iovas());
  }
  for (const auto& [type, name] : kTypes) {
    if ((limits.types >> static_cast<uint32_t>(type) & 1) != 0) out.add_types(name);
  }
}

// The numbers of those groups that have a bit each in `bits`.
template <typename Message>
void AddGroups(uint64_t bits, std::span<const channel::GroupInfo> groups, Message& out) {
  for (size_t i = 0; i < groups.size() && i < 64; ++i) {
    if ((bits >> i & 1) != 0) out.add_groups(groups[i].number);
  }
}

// What is particular to the event's kind.
void DescribeWhat(const LoggedEvent& event, api::Event& out) {
  switch (event.kind) {
    case EventKind::kTypeSet:
      return out.set_type(ToApi(static_cast<uint32_t>(event.value)));
    case EventKind::kGroupAttached:
    case EventKind::kGroupDetached:
      return out.set_group(static_cast<uint32_t>(event.value));
    case EventKind::kMapped:
      out.set_user_address(event.value);
      out.set_access(static_cast<api::Access>(event.access));
      [[fallthrough]];
    case EventKind::kUnmapped:
    case EventKind::kWindowCreated:
    case EventKind::kWindowRemoved:
      return SetRange(event.first, event.last, *out.mutable_range());
    case EventKind::kFault:
      SetRange(event.first, event.first, *out.mutable_range());
      out.set_device(PciName(static_cast<uint32_t>(event.value)));
      return out.set_access(static_cast<api::Access>(event.access));
    case EventKind::kUnknownCall:
      return out.set_request(static_cast<uint32_t>(event.value));
    case EventKind::kAction:
      out.set_group(static_cast<uint32_t>(event.value));
      if (event.last != 0) SetRange(event.first, event.last, *out.mutable_range());
      out.set_action(event.action);
      return out.set_actor(event.actor);
    case EventKind::kLost:
      return out.set_dropped(event.value);
    case EventKind::kOpened:
    case EventKind::kClosed:
      return;
  }
}

}  // namespace

std::string PciName(uint32_t number) {
  const compat::settings::PciAddress address = {.domain = static_cast<uint16_t>(number >> 16),
                                                .bus = static_cast<uint8_t>(number >> 8),
                                                .device = static_cast<uint8_t>(number >> 3 & 31),
                                                .function = static_cast<uint8_t>(number & 7)};
  return address.ToString();
}

api::ContainerType ToApi(uint32_t container_type) {
  for (const auto& [type, name] : kTypes) {
    if (static_cast<uint32_t>(type) == container_type) return name;
  }
  return api::CONTAINER_TYPE_UNSPECIFIED;
}

void SetTime(uint64_t nanoseconds, google::protobuf::Timestamp& time) {
  time.set_seconds(static_cast<int64_t>(nanoseconds / 1'000'000'000));
  time.set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

void Describe(const Session& session, api::Session& out) {
  const SessionIdentity& identity = session.identity();
  out.set_id(SessionName(identity.id));
  out.set_host(SessionName(identity.host));
  out.set_pid(identity.pid);
  out.set_uid(identity.uid);
  out.set_command(identity.command);
  out.set_backend(static_cast<api::Backend>(identity.backend));
  SetTime(identity.start_time, *out.mutable_start_time());
  out.set_is_responsive(session.is_responsive());
}

void Describe(const channel::ContainerInfo& container, std::span<const channel::GroupInfo> groups,
              api::Container& out) {
  out.set_number(container.number);
  out.set_type(ToApi(container.type));
  out.set_opener_pid(container.opener);
  AddGroups(container.groups, groups, out);
  out.set_mapping_count(container.live_mappings);
  out.set_mapped_bytes(container.bytes_mapped);
  out.set_is_frozen((container.flags & channel::kIsFrozen) != 0);
  out.set_is_revoked((container.flags & channel::kIsRevoked) != 0);
  Describe(container.limits, *out.mutable_limits());
  out.set_unknown_calls(container.unknown_calls);
}

void Describe(const channel::IoasInfo& ioas, std::span<const channel::GroupInfo> groups,
              api::Ioas& out) {
  out.set_number(ioas.number);
  out.set_context(ioas.context);
  out.set_object(ioas.object);
  out.set_opener_pid(ioas.opener);
  AddGroups(ioas.groups, groups, out);
  out.set_mapping_count(ioas.live_mappings);
  out.set_mapped_bytes(ioas.bytes_mapped);
}

void Describe(const channel::GroupInfo& group, api::SessionGroup& out) {
  out.set_number(group.number);
  out.set_container(group.container);
  out.set_is_frozen((group.flags & channel::kGroupIsFrozen) != 0);
  out.set_is_in_error((group.flags & channel::kGroupIsInError) != 0);
  for (uint32_t i = 0; i < group.device_count; ++i) out.add_devices(group.devices[i]);
}

void Describe(const channel::MappingInfo& mapping, api::Mapping& out) {
  out.set_first(mapping.first);
  out.set_last(mapping.last);
  out.set_user_address(mapping.user_address);
  out.set_access(static_cast<api::Access>(mapping.access));
  out.set_pid(mapping.pid);
}

void Describe(const LoggedEvent& event, api::Event& out) {
  out.set_sequence(event.sequence);
  out.set_session(SessionName(event.session));
  out.set_kind(static_cast<api::Event::Kind>(event.kind));
  SetTime(static_cast<uint64_t>(event.time), *out.mutable_time());
  out.set_container(event.container);
  DescribeWhat(event, out);
}

absl::StatusOr<channel::Limits> LimitsOf(const api::Limits& limits) {
  channel::Limits out{};
  out.mapped_bytes = limits.mapped_bytes();
  out.mapping_count = limits.mapping_count();
  if (limits.allowed_iovas_size() > static_cast<int>(channel::kMaxLimitRanges)) {
    return InvalidField("limits.allowed_iovas",
                        absl::StrCat(limits.allowed_iovas_size(), " ranges: expected at most ",
                                     channel::kMaxLimitRanges));
  }
  for (const api::Range& range : limits.allowed_iovas()) {
    const std::string field = absl::StrCat("limits.allowed_iovas[", out.range_count, "]");
    RETURN_IF_ERROR(CheckRange(field, range));
    out.ranges[out.range_count++] = {range.first(), range.last()};
  }
  for (int i = 0; i < limits.types_size(); ++i) {
    uint32_t bit = 0;
    for (const auto& [type, name] : kTypes) {
      if (name == limits.types(i)) bit = 1u << static_cast<uint32_t>(type);
    }
    if (bit == 0) {
      return InvalidField(absl::StrCat("limits.types[", i, "]"),
                          absl::StrCat(static_cast<int>(limits.types(i)),
                                       " is no type that a container can choose"));
    }
    out.types |= bit;
  }
  return out;
}

}  // namespace tools::daemon
