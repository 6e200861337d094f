// Between what sessions say and vfio.compat.v1.
#ifndef TOOLS_DAEMON_SERVICES_CONVERT_H_
#define TOOLS_DAEMON_SERVICES_CONVERT_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "compat/session/channel.h"
#include "tools/daemon/events/event_log.h"
#include "tools/daemon/sessions/session.h"
#include "vfio/compat/v1/address_spaces.pb.h"
#include "vfio/compat/v1/sessions.pb.h"

namespace tools::daemon {

// "0000:00:05.0"; the number is a PciAddress's, as fault records hold it.
std::string PciName(uint32_t number);
// Of a decode::ContainerType; UNSPECIFIED for none.
vfio::compat::v1::ContainerType ToApi(uint32_t container_type);
void SetTime(uint64_t nanoseconds, google::protobuf::Timestamp& time);

// What is known of a session without asking it.
void Describe(const Session& session, vfio::compat::v1::Session& out);
// `groups`: the session's, which the container's bits count.
void Describe(const compat::session::ContainerInfo& container,
              std::span<const compat::session::GroupInfo> groups, vfio::compat::v1::Container& out);
void Describe(const compat::session::IoasInfo& ioas,
              std::span<const compat::session::GroupInfo> groups, vfio::compat::v1::Ioas& out);
void Describe(const compat::session::GroupInfo& group, vfio::compat::v1::SessionGroup& out);
void Describe(const compat::session::MappingInfo& mapping, vfio::compat::v1::Mapping& out);
void Describe(const LoggedEvent& event, vfio::compat::v1::Event& out);

// Limits as they are sent to a session. kInvalidArgument, with fields below "limits", if they
// cannot be.
absl::StatusOr<compat::session::Limits> LimitsOf(const vfio::compat::v1::Limits& limits);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_CONVERT_H_
