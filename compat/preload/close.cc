// The ends of descriptors: close(), close_range(), closefrom().
#include <unistd.h>

#include <algorithm>

#include "compat/preload/descriptor_table.h"
#include "compat/preload/next.h"
#include "compat/preload/paths/hooks.h"
#include "compat/preload/process_host.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace compat::preload {
namespace {

using ioas::soft::HidingLock;
using ioas::soft::IsHidden;

// Forgets `fd` before it is closed: its number may be somebody else's the moment after.
uint32_t Forget(int fd) {
  const uint32_t slot = SlotOf(fd);
  if (slot != 0) SetSlot(fd, 0);
  OnDescriptorClosed(fd);
  return slot;
}

// Closes what is not hidden of [first, last], in as few calls as that takes.
int CloseVisible(unsigned first, unsigned last, int flags) {
  const auto close_range = Next<"close_range", int(unsigned, unsigned, int)>();
  const HidingLock lock;
  const unsigned searched = std::min(last, kMaxDescriptors - 1);
  unsigned start = first;
  for (unsigned fd = first; fd <= searched; ++fd) {
    if (!IsHidden(static_cast<int>(fd))) continue;
    if (start < fd) {
      if (const int result = close_range(start, fd - 1, flags); result != 0) return result;
    }
    start = fd + 1;
  }
  return start <= last ? close_range(start, last, flags) : 0;
}

// close() of a number that another thread may be hiding something at.
int CloseAmongHidden(int fd) {
  const HidingLock lock;
  if (!IsHidden(fd)) return Next<"close", int(int)>()(fd);
  errno = EBADF;
  return -1;
}

// Tells the host of descriptors that are gone.
void OnClosedRange(unsigned first, unsigned last) {
  ForEachDescriptor(first, last, [](int fd) {
    const uint32_t slot = SlotOf(fd);
    SetSlot(fd, 0);
    OpenedHost()->OnClosed(slot);
  });
}

}  // namespace

COMPAT_INTERPOSE int close(int fd) {
  const uint32_t slot = Forget(fd);
  const int result = __builtin_expect(ioas::soft::MayBecomeHidden(fd), 0)
                         ? CloseAmongHidden(fd)
                         : Next<"close", int(int)>()(fd);
  if (__builtin_expect(slot != 0, 0)) {
    const int saved_errno = errno;
    OpenedHost()->OnClosed(slot);
    errno = saved_errno;
  }
  return result;
}

COMPAT_INTERPOSE int close_range(unsigned first, unsigned last, int flags) noexcept {
  constexpr int kCloseOnExecOnly = 1 << 2;  // CLOSE_RANGE_CLOEXEC: nothing is closed now
  if (OpenedHost() == nullptr || (flags & kCloseOnExecOnly) != 0 || first > last) {
    return Next<"close_range", int(unsigned, unsigned, int)>()(first, last, flags);
  }
  const int result = CloseVisible(first, last, flags);
  if (result == 0) OnClosedRange(first, last);
  return result;
}

COMPAT_INTERPOSE void closefrom(int lowest) noexcept {
  if (OpenedHost() == nullptr) {
    Next<"closefrom", void(int)>()(lowest);
    return;
  }
  close_range(static_cast<unsigned>(std::max(lowest, 0)), ~0u, 0);
}

}  // namespace compat::preload
