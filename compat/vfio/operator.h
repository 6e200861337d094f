// What somebody outside the program does to its containers, groups and devices.
#ifndef COMPAT_VFIO_OPERATOR_H_
#define COMPAT_VFIO_OPERATOR_H_

#include <cstdint>

#include "compat/vfio/host.h"
#include "ioas/address_space.h"
#include "ioas/base/result.h"
#include "ioas/range.h"

namespace compat::vfio {

// What an action did, or would do.
struct ActionReport {
  uint64_t groups;    // those concerned: a bit for each
  uint64_t mappings;  // that were removed
  uint64_t bytes;     // of them
  bool was_in_force;  // nothing had to change
};

// What a container may not exceed. Types as in ContainerState::permitted_types.
struct ContainerLimits {
  ioas::MappingLimits mappings;
  uint32_t types;
};

// Acts on a host. All functions need its lock. They wait for a thread of the program that holds an
// address space for a moment only: EBUSY. What fails changes nothing, and a dry run checks
// everything and changes nothing.
class Operator {
 public:
  Operator(Host& host, bool dry_run) : host_(host), dry_run_(dry_run) {}

  // Freezing cuts devices off from memory, until thawed: their DMA faults, their registers and all
  // calls go on. A container's freeze concerns the groups that join it, too, as long as they are in
  // it. A group can be frozen by itself and with its container, and is until neither is in force.
  // EIO if the kernel, or a process that does not have the group's descriptor, cannot.
  ioas::Result<ActionReport> FreezeGroup(uint32_t index) { return HoldGroup(index, true); }
  ioas::Result<ActionReport> FreezeContainer(ContainerState& container) {
    return HoldContainer(container, true);
  }
  // Undoes it. EBUSY for a group that is frozen with its container.
  ioas::Result<ActionReport> ThawGroup(uint32_t index);
  ioas::Result<ActionReport> ThawContainer(ContainerState& container) {
    return HoldContainer(container, false);
  }

  // Unmaps what lies in a range. ENODEV if the container has no IOMMU, EINVAL if the range cuts a
  // mapping.
  ioas::Result<ActionReport> Unmap(ContainerState& container, const ioas::IovaRange& range);

  // Takes the container away: its groups are out of it and cut off from memory, nothing is mapped,
  // and every call on it is ENODEV, in all processes. EIO as FreezeContainer.
  ioas::Result<ActionReport> Revoke(ContainerState& container);

  // What exceeds `limits` already stays. EINVAL for ranges that end before they begin and for types
  // that there are not. SetDefaultLimits is about containers that are opened from now on.
  ioas::Status SetLimits(ContainerState& container, ContainerLimits limits);
  ioas::Status SetDefaultLimits(ContainerLimits limits);

 private:
  ioas::Result<ActionReport> HoldGroup(uint32_t index, bool hold);
  ioas::Result<ActionReport> HoldContainer(ContainerState& container, bool hold);
  // Sets or clears one of ioas::kHeld of all `groups`, or of none of them.
  ioas::Status Change(uint64_t groups, uint32_t bit, bool set);
  // Whether the devices of `groups` can be told apart from what they are attached to.
  ioas::Status CheckReach(uint64_t groups) const;

  Host& host_;
  bool dry_run_;
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_OPERATOR_H_
