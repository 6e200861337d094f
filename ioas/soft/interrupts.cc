#include "ioas/soft/interrupts.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"
#include "ioas/soft/peer_process.h"

namespace ioas::soft {
namespace {

// EBADF if `fd` is not open, EINVAL if it is something else than an eventfd. Where /proc cannot be
// read, any open descriptor passes.
Status CheckEventfd(int fd) {
  if (SystemCall(SYS_fcntl, fd, F_GETFD) < 0) return Error{EBADF, "the eventfd is not open"};
  char path[32];
  char target[32] = {};
  std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  const long length = SystemCall(SYS_readlinkat, AT_FDCWD, path, target, sizeof(target) - 1);
  if (length < 0 || std::strcmp(target, "anon_inode:[eventfd]") == 0) return {};
  return Error{EINVAL, "the descriptor is no eventfd"};
}

bool IsInterruptType(Irq irq) { return irq == Irq::kIntx || irq == Irq::kMsi || irq == Irq::kMsix; }

}  // namespace

Status Interrupts::Enable(Irq irq, uint32_t count) {
  if (!IsInterruptType(irq) || count > kMaxVectors) {
    return Error{EINVAL, "no such interrupt vectors"};
  }
  if (state_->enabled != 0 && state_->active != irq) {
    return Error{EINVAL, "the device uses another type of interrupt"};
  }
  if (count == 0) {
    for (uint32_t vector = 0; vector < state_->enabled; ++vector) {
      IOAS_RETURN_IF_ERROR(SetTrigger(vector, -1));
    }
    if (irq == Irq::kIntx) IOAS_RETURN_IF_ERROR(SetTrigger(kUnmaskTrigger, -1));
    state_->enabled = 0;
    return {};
  }
  const bool was_off = state_->enabled == 0;
  state_->active = irq;
  state_->enabled = std::max(state_->enabled, count);
  if (irq == Irq::kIntx && was_off) state_->intx_masked = state_->intx_disabled;
  return {};
}

void Interrupts::Reset() {
  for (TriggerState& trigger : state_->triggers) trigger = {};
  CloseCopies();
  state_->enabled = 0;
  state_->intx_disabled = false;
  state_->intx_masked = false;
  state_->pin_asserted = false;
}

Status Interrupts::SetTrigger(uint32_t trigger, int eventfd) {
  TriggerState wanted = {};
  if (eventfd >= 0) {
    IOAS_RETURN_IF_ERROR(CheckEventfd(eventfd));
    const Result<uint32_t> self = processes_.Register();
    if (!self.ok()) return self.error();
    const Result<int> kept = HideDuplicate(eventfd);
    if (!kept.ok()) return kept.error();
    // 0 stands for "none", also when the number wraps.
    state_->last_serial = std::max(state_->last_serial + 1, 1u);
    wanted = {state_->last_serial, *self, *kept};
  }
  Copy& copy = copies_[trigger];
  if (copy.serial != 0) CloseHidden(copy.descriptor);
  copy = {wanted.serial, eventfd >= 0 ? wanted.descriptor : -1};
  state_->triggers[trigger] = wanted;
  if (trigger == 0) RaisePin();
  return {};
}

int Interrupts::LocalDescriptor(uint32_t trigger) {
  const TriggerState& wanted = state_->triggers[trigger];
  Copy& copy = copies_[trigger];
  if (copy.serial == wanted.serial) return wanted.serial == 0 ? -1 : copy.descriptor;
  if (copy.serial != 0) CloseHidden(copy.descriptor);
  copy = {wanted.serial, -1};
  if (wanted.serial == 0) return -1;
  const Result<int> taken = TakeDescriptor(processes_, wanted.process, wanted.descriptor);
  if (taken.ok()) copy.descriptor = *taken;
  return copy.descriptor;
}

void Interrupts::Fire(uint32_t trigger) {
  const int descriptor = LocalDescriptor(trigger);
  if (descriptor < 0) return;
  const uint64_t one = 1;
  SystemCall(SYS_write, descriptor, &one, sizeof(one));
}

void Interrupts::MaskIntx() { state_->intx_masked = true; }

void Interrupts::UnmaskIntx() {
  if (state_->intx_disabled) return;
  state_->intx_masked = false;
  RaisePin();
}

void Interrupts::SetIntxDisabled(bool disabled) {
  if (disabled == state_->intx_disabled) return;
  state_->intx_disabled = disabled;
  if (disabled) {
    MaskIntx();
  } else {
    UnmaskIntx();
  }
}

// INTx is masked when it is delivered, and stays so until the program has served the device and
// unmasks it: otherwise the level would interrupt for ever. Until there is an eventfd it is not
// delivered.
void Interrupts::RaisePin() {
  if (!state_->pin_asserted || state_->intx_masked) return;
  if (enabled(Irq::kIntx) == 0 || !is_set(0)) return;
  state_->intx_masked = true;
  Fire(0);
}

void Interrupts::TakeUnmaskEvent() {
  const int descriptor = unmask_descriptor();
  if (descriptor < 0) return;
  uint64_t events = 0;
  const iovec buffer = {&events, sizeof(events)};
  // Without waiting: another process may have taken the event in the meantime.
  long taken = SystemCall(SYS_preadv2, descriptor, &buffer, 1L, -1L, -1L, RWF_NOWAIT);
  if (taken == -EOPNOTSUPP || taken == -ENOSYS) {
    pollfd event = {descriptor, POLLIN, 0};
    const timespec now = {0, 0};
    taken = SystemCall(SYS_ppoll, &event, 1L, &now, nullptr, 0L);
    if (taken == 1) taken = SystemCall(SYS_read, descriptor, &events, sizeof(events));
  }
  if (taken != sizeof(events)) return;
  UnmaskIntx();
}

void Interrupts::Signal(uint32_t vector) {
  if (state_->enabled == 0 || state_->active == Irq::kIntx) return;
  // With fewer MSI vectors than it could use, a function changes only the low bits of the message,
  // as many as are granted: those of the next power of two (PCI 3.0, 6.8.1.3).
  if (state_->active == Irq::kMsi) vector &= std::bit_ceil(state_->enabled) - 1;
  if (vector < state_->enabled) Fire(vector);
}

void Interrupts::SetPin(bool asserted) {
  state_->pin_asserted = asserted;
  RaisePin();
}

bool Interrupts::message_signalled() const {
  return state_->enabled != 0 && state_->active != Irq::kIntx;
}

void Interrupts::CloseCopies() {
  for (Copy& copy : copies_) {
    if (copy.serial != 0) CloseHidden(copy.descriptor);
    copy = {};
  }
}

}  // namespace ioas::soft
