#include "tools/daemon/sessions/answer_checks.h"

#include <algorithm>
#include <bit>
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

// Whether a range is one of those that `request` is about.
bool IsWithin(const channel::IovaLimits& range, const channel::FindRange& request) {
  return range.first <= range.last && range.first >= request.lowest &&
         range.last <= request.highest;
}

}  // namespace

bool IsRight(const channel::ContainerInfo& container) {
  constexpr uint32_t kFlags = channel::kIsFrozen | channel::kIsRevoked;
  return container.number != 0 && IsContainerType(container.type) &&
         (container.flags & ~kFlags) == 0 &&
         AreRight(container.limits.ranges, container.limits.range_count);
}

bool IsRight(const channel::IoasInfo& ioas) {
  return (ioas.number & channel::kIoasBit) != 0 && ioas.context != 0 && ioas.object != 0;
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

bool IsRight(const channel::IovaLimits& range) { return range.first <= range.last; }

bool IsRight(const channel::Counter&) { return true; }

bool IsRight(const channel::FaultInfo& fault) {
  // PCI Express has PASIDs of at most 20 bits.
  const bool is_pasid = fault.pasid == channel::kNoPasid || fault.pasid >> 20 == 0;
  return fault.access <= 3 && is_pasid && IsTerminated(fault.reason);
}

bool IsRight(const channel::FaultList& faults) {
  return AreRight(faults.refused, faults.refused_count);
}

bool IsAnswerTo(const channel::FindRange& request, const channel::FoundRange& found,
                std::span<const channel::IovaLimits> free) {
  const bool is_aligned = std::has_single_bit(found.alignment) &&
                          (request.alignment == 0 || found.alignment == request.alignment);
  if (!is_aligned || found.is_found > 1 || found.has_largest > 1 || found.more > 1) return false;
  const auto begins_right = [&](const channel::IovaLimits& range) {
    return IsWithin(range, request) && (range.first & (found.alignment - 1)) == 0;
  };
  if (found.is_found != 0 &&
      (!begins_right(found.range) || found.range.last - found.range.first != request.size - 1)) {
    return false;
  }
  if (found.has_largest != 0 && !begins_right(found.largest)) return false;
  if (found.is_found > found.has_largest || free.size() > channel::kMaxFreeRanges) return false;
  for (size_t i = 0; i < free.size(); ++i) {
    if (!IsWithin(free[i], request) || (i != 0 && free[i].first <= free[i - 1].last)) return false;
  }
  return true;
}

}  // namespace tools::daemon
