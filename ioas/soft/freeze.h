// Freezing devices after an error of their group (ioas/group_errors.h).
//
// What programs have mapped of a device is memory, which no access to can be caught. So while I/O
// is frozen, the registers are kept elsewhere, programs find ones in their place, and the model
// stands still. What a program stores meanwhile is lost, but it may see its own store until the
// device's thread has put the ones back.
//
// A device that an operator holds stands still as well, with its registers as they are: what it has
// to do waits until it is let go, since a controller whose DMA failed would not go on by itself.
#ifndef IOAS_SOFT_FREEZE_H_
#define IOAS_SOFT_FREEZE_H_

#include <cstdint>

#include "ioas/base/arena.h"
#include "ioas/soft/soft_host.h"

namespace ioas::soft {

// Hides the registers of `device` behind ones, or brings them back. If they are hidden already what
// programs stored is overwritten. The device's lock is held.
void HideRegisters(const Arena& arena, SoftDeviceState& device);
void ShowRegisters(const Arena& arena, SoftDeviceState& device);

// One of the two, as the errors of the device's group say. Returns whether the model may go on. The
// device's lock is held.
bool FollowErrors(const Arena& arena, SoftDeviceState& device);

// The same for all devices of a group (an index of SoftHost::groups). When it returns no DMA of
// theirs that an error blocks is under way. Takes their locks; none may be held.
void FollowErrorsOfGroup(const Arena& arena, SoftHost& host, uint32_t group);

}  // namespace ioas::soft

#endif  // IOAS_SOFT_FREEZE_H_
