#include "compat/vfio/operator.h"

#include <algorithm>
#include <bit>
#include <span>

#include "ioas/group_errors.h"

namespace compat::vfio {
namespace {

using ioas::Error;
using ioas::IovaRange;

// How long to wait for an address space, in milliseconds.
constexpr uint32_t kPatience = 200;
constexpr Error kSpaceIsHeld = {EBUSY, "the lock of the address space is held"};

constexpr uint64_t BitOf(uint32_t index) { return uint64_t{1} << index; }

// Has the ranges ascend, and joins those that touch.
ioas::Status Normalize(ContainerLimits& limits) {
  for (uint32_t type = 0; type < 32; ++type) {
    const bool exists = type != 0 && std::any_of(std::begin(decode::kContainerTypes),
                                                 std::end(decode::kContainerTypes), [&](auto each) {
                                                   return static_cast<uint32_t>(each) == type;
                                                 });
    if ((limits.types >> type & 1) != 0 && !exists) return Error{EINVAL, "there is no such type"};
  }
  const std::span<IovaRange> ranges(limits.mappings.ranges, limits.mappings.range_count);
  std::sort(ranges.begin(), ranges.end(),
            [](const IovaRange& one, const IovaRange& other) { return one.first < other.first; });
  uint32_t kept = 0;
  for (const IovaRange& range : ranges) {
    if (range.first > range.last) return Error{EINVAL, "a range ends before it begins"};
    IovaRange* const before = kept != 0 ? &ranges[kept - 1] : nullptr;
    if (before != nullptr && (before->last == UINT64_MAX || range.first <= before->last + 1)) {
      before->last = std::max(before->last, range.last);
    } else {
      ranges[kept++] = range;
    }
  }
  limits.mappings.range_count = kept;
  return {};
}

}  // namespace

ioas::Status Operator::CheckReach(uint64_t groups) const {
  for (; groups != 0; groups &= groups - 1) {
    IOAS_RETURN_IF_ERROR(
        host_.platform().FollowErrors(static_cast<uint32_t>(std::countr_zero(groups))));
  }
  return {};
}

ioas::Status Operator::Change(uint64_t groups, uint32_t bit, bool set) {
  if (dry_run_) return CheckReach(groups);
  uint64_t changed = 0;
  for (uint64_t left = groups; left != 0; left &= left - 1) {
    const auto index = static_cast<uint32_t>(std::countr_zero(left));
    const bool was_set = host_.platform().ErrorsOf(index).has(bit);
    const ioas::Status status = host_.ChangeErrors(index, set ? bit : 0, set ? 0 : bit);
    if (!status.ok()) {
      if (changed != 0) (void)Operator(host_, false).Change(changed, bit, !set);
      return status;
    }
    if (was_set != set) changed |= BitOf(index);
  }
  return {};
}

// What is frozen already is frozen again: its devices may have been attached by somebody else
// since.
ioas::Result<ActionReport> Operator::HoldGroup(uint32_t index, bool hold) {
  const bool was_held = host_.platform().ErrorsOf(index).has(ioas::kGroupHeld);
  IOAS_RETURN_IF_ERROR(Change(BitOf(index), ioas::kGroupHeld, hold));
  return ActionReport{
      .groups = BitOf(index), .mappings = 0, .bytes = 0, .was_in_force = was_held == hold};
}

ioas::Result<ActionReport> Operator::ThawGroup(uint32_t index) {
  if (host_.platform().ErrorsOf(index).has(ioas::kContainerHeld)) {
    return Error{EBUSY, "the group is frozen with its container, and thaws with it"};
  }
  return HoldGroup(index, false);
}

ioas::Result<ActionReport> Operator::HoldContainer(ContainerState& container, bool hold) {
  const uint64_t groups = container.groups;
  const bool was_held = container.is_held != 0;
  IOAS_RETURN_IF_ERROR(Change(groups, ioas::kContainerHeld, hold));
  if (!dry_run_) container.is_held = hold ? 1 : 0;
  return ActionReport{
      .groups = groups, .mappings = 0, .bytes = 0, .was_in_force = was_held == hold};
}

ioas::Result<ActionReport> Operator::Unmap(ContainerState& container, const IovaRange& range) {
  if (container.type == decode::ContainerType::kNone) {
    return Error{ENODEV, "the container has no IOMMU"};
  }
  if (range.first > range.last) return Error{EINVAL, "the range ends before it begins"};
  const ioas::Result<ContainerContext> context = host_.ContextFor(host_.WithDescriptor(container));
  if (!context.ok()) return context.error();
  ioas::AddressSpace space = context->space();
  const ioas::AddressSpace::TimedLock lock(space, kPatience);
  if (!lock.held()) return kSpaceIsHeld;
  const ioas::Result<Removed> removed =
      host_.parts().personality->Remove(*context, range, dry_run_);
  if (!removed.ok()) return removed.error();
  return ActionReport{.groups = container.groups,
                      .mappings = removed->mappings,
                      .bytes = removed->bytes,
                      .was_in_force = removed->mappings == 0};
}

ioas::Result<ActionReport> Operator::Revoke(ContainerState& container) {
  if (container.is_revoked != 0) {
    return ActionReport{.groups = 0, .mappings = 0, .bytes = 0, .was_in_force = true};
  }
  const uint64_t groups = container.groups;
  ActionReport report = {.groups = groups, .mappings = 0, .bytes = 0, .was_in_force = false};
  // First the devices are cut off: a descriptor of theirs may stay open.
  IOAS_RETURN_IF_ERROR(Change(groups, ioas::kContainerHeld, true));
  {
    ioas::Arena arena = host_.arena();
    ioas::AddressSpace space(arena, container.space);
    const ioas::AddressSpace::TimedLock lock(space, kPatience);
    if (!lock.held()) {
      if (!dry_run_ && container.is_held == 0) (void)Change(groups, ioas::kContainerHeld, false);
      return kSpaceIsHeld;
    }
    if (container.type != decode::ContainerType::kNone) {
      report.mappings = space.state().live_mappings();
      report.bytes = space.statistics().bytes_mapped;
    }
    // From here on nothing is mapped any more.
    if (!dry_run_) container.is_revoked = 1;
  }
  if (dry_run_) return report;
  for (uint64_t left = groups; left != 0; left &= left - 1) {
    host_.DetachGroup(static_cast<uint32_t>(std::countr_zero(left)));
  }
  return report;
}

ioas::Status Operator::SetLimits(ContainerState& container, ContainerLimits limits) {
  IOAS_RETURN_IF_ERROR(Normalize(limits));
  ioas::Arena arena = host_.arena();
  ioas::AddressSpace space(arena, container.space);
  const ioas::AddressSpace::TimedLock lock(space, kPatience);
  if (!lock.held()) return kSpaceIsHeld;
  if (dry_run_) return {};
  space.SetLimits(limits.mappings);
  container.permitted_types = limits.types;
  return {};
}

ioas::Status Operator::SetDefaultLimits(ContainerLimits limits) {
  IOAS_RETURN_IF_ERROR(Normalize(limits));
  if (dry_run_) return {};
  host_.state().limits = limits.mappings;
  host_.state().permitted_types = limits.types;
  return {};
}

}  // namespace compat::vfio
