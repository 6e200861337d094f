#include "fuzz/soft_device_reference.h"

#include <algorithm>

#include "ioas/group_errors.h"

namespace fuzz {

using ioas::Access;
using ioas::soft::FaultReason;
using ioas::soft::Irq;

uint32_t ReferenceInterrupts::CountOf(Irq irq) {
  switch (irq) {
    case Irq::kMsi:
      return kModelMsi;
    case Irq::kMsix:
      return kModelMsix;
    default:
      return irq <= Irq::kRequest ? 1 : 0;
  }
}

uint32_t ReferenceInterrupts::enabled(Irq irq) const {
  if (irq == Irq::kError) return error_ != kNoEvent ? 1 : 0;
  if (irq == Irq::kRequest) return request_ != kNoEvent ? 1 : 0;
  return active_ == irq ? enabled_ : 0;
}

bool ReferenceInterrupts::is_message_signalled() const {
  return enabled_ != 0 && active_ != Irq::kIntx;
}

int ReferenceInterrupts::Enable(Irq irq, uint32_t count) {
  if (count > CountOf(irq)) return EINVAL;
  if (!IsVectors(irq)) {
    if (irq > Irq::kRequest) return EINVAL;
    if (count == 0) (irq == Irq::kError ? error_ : request_) = kNoEvent;
    return 0;
  }
  if (enabled_ != 0 && active_ != irq) return EINVAL;
  if (count == 0) {
    vectors_ = NoEvents();
    if (irq == Irq::kIntx) unmask_ = kNoEvent;
    enabled_ = 0;
    return 0;
  }
  if (enabled_ == 0 && irq == Irq::kIntx) masked_ = disabled_;
  active_ = irq;
  enabled_ = std::max(enabled_, count);
  return 0;
}

int ReferenceInterrupts::SetTrigger(Irq irq, uint32_t vector, int event) {
  if (vector >= (IsVectors(irq) ? enabled(irq) : 1)) return EINVAL;
  if (!IsVectors(irq)) {
    (irq == Irq::kError ? error_ : request_) = event;
    return 0;
  }
  vectors_[vector] = event;
  if (vector == 0) RaisePin();
  return 0;
}

int ReferenceInterrupts::SetUnmask(int event) {
  if (enabled(Irq::kIntx) == 0) return EINVAL;
  unmask_ = event;
  return 0;
}

void ReferenceInterrupts::Unmask() {
  if (disabled_) return;
  masked_ = false;
  RaisePin();
}

void ReferenceInterrupts::SetDisabled(bool disabled) {
  if (disabled == disabled_) return;
  disabled_ = disabled;
  if (disabled) {
    Mask();
  } else {
    Unmask();
  }
}

void ReferenceInterrupts::Fire(Irq irq, uint32_t vector) {
  if (irq == Irq::kError) return Send(error_);
  if (irq == Irq::kRequest) return Send(request_);
  if (vector >= enabled(irq) || (irq == Irq::kIntx && disabled_)) return;
  Send(vectors_[vector]);
}

void ReferenceInterrupts::Signal(uint32_t vector) {
  if (!is_message_signalled()) return;
  // A message of MSI has as many low bits for the vector as were granted.
  if (active_ == Irq::kMsi) vector %= enabled_ == 3 ? 4 : enabled_;
  if (vector < enabled_) Send(vectors_[vector]);
}

void ReferenceInterrupts::SetPin(bool asserted) {
  pin_ = asserted;
  RaisePin();
}

void ReferenceInterrupts::RaisePin() {
  if (!pin_ || masked_ || enabled(Irq::kIntx) == 0 || vectors_[0] == kNoEvent) return;
  masked_ = true;
  Send(vectors_[0]);
}

void ReferenceInterrupts::Reset() {
  const auto sent = sent_;
  const Irq active = active_;
  *this = {};
  sent_ = sent;
  active_ = active;
}

std::array<uint64_t, ReferenceInterrupts::kEvents> ReferenceInterrupts::TakeSent() {
  const auto sent = sent_;
  sent_ = {};
  return sent;
}

bool DeviceReference::io_frozen() const { return (errors & ioas::kIoFrozen) != 0; }

bool DeviceReference::may_go_on() const { return (errors & (ioas::kIoFrozen | ioas::kHeld)) == 0; }

std::optional<FaultReason> DeviceReference::Obstacle(uint64_t iova, Access access) const {
  for (const ioas::IovaRange& range : refused) {
    if (range.Contains(iova)) return FaultReason::kRefused;
  }
  const auto page = pages.find(iova & ~(kDevicePage - 1));
  if (page == pages.end()) return FaultReason::kNotMapped;
  if ((page->second.access & access) == 0) return FaultReason::kPermission;
  if (page->second.owner != 0) {
    if (peer_is_gone) return FaultReason::kMemoryGone;
  } else if (hole == page->second.user_address) {
    return FaultReason::kMemoryGone;
  }
  return std::nullopt;
}

bool DeviceReference::Fail(uint64_t iova, Access access, FaultReason reason) {
  ++faults;
  last_fault = {iova, access, reason};
  const bool is_error = reason != FaultReason::kBusMasterOff && reason != FaultReason::kHeld;
  if (is_error && (errors & ioas::kFreezesOnFault) != 0) errors |= ioas::kFrozen;
  return false;
}

bool DeviceReference::Transfer(const Segments& segments, std::vector<std::byte>& buffer,
                               Access access, std::vector<std::byte>& memory, uint64_t base) {
  if (segments.empty()) return true;
  const uint64_t first = segments.front().iova;
  if (!is_bus_master) return Fail(first, access, FaultReason::kBusMasterOff);
  if ((errors & ioas::kDmaFrozen) != 0) return Fail(first, access, FaultReason::kFrozen);
  if ((errors & ioas::kHeld) != 0) return Fail(first, access, FaultReason::kHeld);
  if (!is_attached) return Fail(first, access, FaultReason::kBlocked);
  size_t done = 0;
  for (const ioas::soft::DmaSegment& segment : segments) {
    for (uint32_t i = 0; i < segment.length; ++i, ++done) {
      const uint64_t iova = segment.iova + i;
      if (const auto reason = Obstacle(iova, access)) {
        ++space_faults;
        return Fail(iova, access, *reason);
      }
      const uint64_t page = iova & ~(kDevicePage - 1);
      std::byte& there = memory[pages.at(page).user_address - base + (iova - page)];
      (access == ioas::kAccessRead ? buffer[done] : there) =
          access == ioas::kAccessRead ? there : buffer[done];
      ++(access == ioas::kAccessRead ? read : written);
    }
  }
  return true;
}

void DeviceReference::Run(std::vector<std::byte>& memory, uint64_t base) {
  if (!may_go_on() || registers.command == done) return;
  const uint32_t command = registers.command;
  if (CommandOf(command) == ModelCommand::kCopy) {
    const uint32_t length = (registers.length & kModelLengthMask) + 1;
    std::vector<std::byte> buffer(length);
    if (!Transfer({{registers.source, length}}, buffer, ioas::kAccessRead, memory, base) ||
        !Transfer({{registers.destination, length}}, buffer, ioas::kAccessWrite, memory, base)) {
      ++registers.failures;
    }
  } else if (CommandOf(command) == ModelCommand::kSignal) {
    interrupts.Signal(VectorOf(command));
  } else {
    interrupts.SetPin(CommandOf(command) == ModelCommand::kRaisePin);
  }
  registers.completed = command;
  done = command;
}

void DeviceReference::ReadBar(uint8_t bar, uint32_t offset, std::span<std::byte> data) {
  for (std::byte& byte : data) {
    const uint32_t at = offset++;
    byte = std::byte{0};
    if (io_frozen()) {
      byte = std::byte{0xff};
    } else if (bar != 0) {
      continue;
    } else if (at < kModelRegisters) {
      byte = bytes()[at];
    } else if (at >= kModelMsixTable && at < kModelMsixTable + 16 * kModelMsix) {
      byte = std::byte{0xff};
    }
  }
}

void DeviceReference::WriteBar(uint8_t bar, uint32_t offset, std::span<const std::byte> data) {
  if (bar != 0 || io_frozen()) return;
  for (const std::byte byte : data) {
    const uint32_t at = offset++;
    if (at < kModelRegisters) bytes()[at] = byte;
  }
}

void DeviceReference::ResetModel() {
  registers = {};
  done = 0;
  interrupts.SetPin(false);
}

}  // namespace fuzz
