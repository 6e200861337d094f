#include "tools/daemon/sessions/answer_checks.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "compat/decode/call.h"
#include "tools/daemon/sessions/text.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;

bool AreRight(const channel::IovaLimits (&ranges)[channel::kMaxLimitRanges], uint32_t count) {
  return count <= channel::kMaxLimitRanges &&
         std::ranges::all_of(std::span(ranges).first(count),
                             [](const auto& range) { return range.first <= range.last; });
}

bool IsContainerType(uint32_t type) {
  return std::ranges::any_of(compat::decode::kContainerTypes,
                             [type](auto known) { return static_cast<uint32_t>(known) == type; });
}

}  // namespace

bool IsRight(const channel::ContainerInfo& container) {
  constexpr uint32_t kFlags = channel::kIsFrozen | channel::kIsRevoked;
  return container.number != 0 && IsContainerType(container.type) &&
         (container.flags & ~kFlags) == 0 &&
         AreRight(container.limits.ranges, container.limits.range_count);
}

bool IsRight(const channel::GroupInfo& group) {
  constexpr uint32_t kFlags = channel::kGroupIsFrozen | channel::kGroupIsInError;
  return (group.flags & ~kFlags) == 0 && group.device_count <= std::size(group.devices) &&
         std::ranges::all_of(std::span(group.devices).first(group.device_count),
                             [](const auto& name) { return IsName(name); });
}

bool IsRight(const channel::RangeInfo& range) {
  return range.first <= range.last && range.kind >= 1 &&
         range.kind <= static_cast<uint32_t>(channel::RangeKind::kWindow);
}

bool IsRight(const channel::MappingInfo& mapping) {
  return mapping.first <= mapping.last && mapping.access <= 3;
}

bool IsRight(const channel::Counter&) { return true; }

bool IsRight(const channel::FaultInfo& fault) {
  return fault.access <= 3 && IsTerminated(fault.reason);
}

bool IsRight(const channel::FaultList& faults) {
  return AreRight(faults.refused, faults.refused_count);
}

}  // namespace tools::daemon
