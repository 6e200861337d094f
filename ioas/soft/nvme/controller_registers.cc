// The registers of the controller: what they hold, and what follows when they are written
// (3.1, 7.3, 7.6).
#include <algorithm>
#include <cstring>

#include "ioas/soft/nvme/async_events.h"
#include "ioas/soft/nvme/controller.h"
#include "ioas/soft/nvme/features.h"
#include "ioas/soft/nvme/flush.h"

namespace ioas::soft {

using nvme::Session;

namespace {

bool IsWritable(uint32_t offset) {
  return offset == nvme::kRegisterIntms || offset == nvme::kRegisterIntmc ||
         offset == nvme::kRegisterCc ||
         (offset >= nvme::kRegisterAqa && offset < nvme::kRegisterAfterAcq);
}

uint32_t SubmissionEntriesOf(uint32_t aqa) { return (aqa & 0xfff) + 1; }
uint32_t CompletionEntriesOf(uint32_t aqa) { return (aqa >> 16 & 0xfff) + 1; }

// Whether the controller can run as it is configured (3.1.5, 3.1.8 to 3.1.10).
bool IsConfigurationValid(uint32_t cc, uint32_t aqa, uint64_t asq, uint64_t acq) {
  const uint32_t page_shift = nvme::PageShiftOf(cc);
  if (nvme::CommandSetOf(cc) != 0 || nvme::ArbitrationOf(cc) != 0) return false;
  if (page_shift > nvme::kMaximumPageShift) return false;
  if (SubmissionEntriesOf(aqa) < 2 || CompletionEntriesOf(aqa) < 2) return false;
  return (asq | acq) % (uint64_t{1} << page_shift) == 0;
}

}  // namespace

void NvmeController::SetStatus(uint32_t csts) {
  state_.session.csts = csts;
  registers_.Store(nvme::kRegisterCsts, csts);
}

// A controller level reset (7.3.2), which leaves the admin queues' addresses.
void NvmeController::ResetSession() {
  if (state_.session.pin_asserted) interrupts_.SetPin(false);
  state_.session = {};
  registers_.Store(nvme::kRegisterIntms, 0);
  registers_.Store(nvme::kRegisterIntmc, 0);
  for (uint32_t offset = nvme::kDoorbells; offset < nvme::kRegisterPagesSize; offset += 4) {
    registers_.Restore(offset, 0);
  }
  SetStatus(0);
}

void NvmeController::Reset() {
  for (uint32_t offset = 0; offset < nvme::kDoorbells; offset += 4) registers_.Restore(offset, 0);
  ResetSession();
  RestoreReadOnlyRegisters();
  state_.flush_failed = false;
  if (state_.lifetime.power_on_at == 0) {
    state_.lifetime.power_on_at = nvme::MonotonicMilliseconds();
  }
  const Result<uint64_t> size = image_.Size();
  if (size.ok()) state_.block_count = *size / config_.block_size;
}

bool NvmeController::FollowRegisters() {
  bool followed = FollowInterruptMask();
  const uint32_t cc = registers_.Load(nvme::kRegisterCc);
  if (cc != state_.session.cc) {
    FollowConfiguration(cc);
    followed = true;
  }
  RestoreReadOnlyRegisters();
  return followed;
}

// INTMS holds the mask: what is written there and differs from it is new. INTMC is kept 0, though
// it reads as the mask by the book: otherwise writing the bits that are set could not be seen.
bool NvmeController::FollowInterruptMask() {
  Session& session = state_.session;
  const uint32_t set = registers_.Load(nvme::kRegisterIntms);
  if (set == session.interrupt_mask && registers_.Load(nvme::kRegisterIntmc) == 0) return false;
  const uint32_t cleared = registers_.Exchange(nvme::kRegisterIntmc, 0);
  session.interrupt_mask = (session.interrupt_mask | set) & ~cleared;
  registers_.Replace(nvme::kRegisterIntms, set, session.interrupt_mask);
  session.interrupts_due = true;
  return true;
}

// All of it may be done twice, where a process is killed before it notes the new value.
void NvmeController::FollowConfiguration(uint32_t cc) {
  const bool was_enabled = (state_.session.cc & nvme::kCcEnable) != 0;
  const bool enabled = (cc & nvme::kCcEnable) != 0;
  if (was_enabled && !enabled) ResetSession();
  if (!was_enabled && enabled) Enable(cc);
  const uint32_t shutdown = nvme::ShutdownOf(cc);
  if (shutdown != 0 && shutdown != nvme::ShutdownOf(state_.session.cc)) Shutdown();
  state_.session.cc = cc;
}

void NvmeController::Enable(uint32_t cc) {
  const uint32_t aqa = registers_.Load(nvme::kRegisterAqa);
  const uint64_t asq = registers_.Load64(nvme::kRegisterAsq);
  const uint64_t acq = registers_.Load64(nvme::kRegisterAcq);
  if (!IsConfigurationValid(cc, aqa, asq, acq)) {
    SetStatus(nvme::kCstsFatal);
    return;
  }
  nvme::ResetFeatures(state_.session.features);
  state_.session.page_size = 1U << nvme::PageShiftOf(cc);
  queues_.CreateCompletion(0, acq, CompletionEntriesOf(aqa), 0, true);
  queues_.CreateSubmission(0, asq, SubmissionEntriesOf(aqa), 0);
  SetStatus(nvme::kCstsReady);
}

void NvmeController::Shutdown() {
  FlushImage(context_);  // who shuts down is told that it is complete, and no more
  SetStatus((state_.session.csts & ~nvme::kCstsShutdownMask) | nvme::kCstsShutdownComplete);
}

void NvmeController::RestoreReadOnlyRegisters() {
  registers_.Restore(nvme::kRegisterCap, static_cast<uint32_t>(nvme::kCapabilities));
  registers_.Restore(nvme::kRegisterCapHigh, static_cast<uint32_t>(nvme::kCapabilities >> 32));
  registers_.Restore(nvme::kRegisterVs, nvme::kSpecificationVersion);
  registers_.Restore(nvme::kRegisterReserved18, 0);
  registers_.Restore(nvme::kRegisterCsts, state_.session.csts);
  registers_.Restore(nvme::kRegisterNssr, 0);
  for (uint32_t offset = nvme::kRegisterAfterAcq; offset < nvme::kRegisterWatchedEnd; offset += 4) {
    registers_.Restore(offset, 0);
  }
}

uint32_t NvmeController::ReadRegister(uint32_t offset) const {
  if (offset >= nvme::kRegisterPagesSize) return 0;
  if (offset == nvme::kRegisterIntmc) return state_.session.interrupt_mask;
  return registers_.Load(offset);
}

void NvmeController::ReadBar(uint8_t bar, uint32_t offset, std::span<std::byte> data) {
  while (!data.empty()) {
    const uint32_t value = bar == 0 ? ReadRegister(offset & ~3U) : 0;
    const uint32_t skipped = offset & 3;
    const size_t count = std::min<size_t>(4 - skipped, data.size());
    std::memcpy(data.data(), reinterpret_cast<const std::byte*>(&value) + skipped, count);
    data = data.subspan(count);
    offset += static_cast<uint32_t>(count);
  }
}

void NvmeController::WriteBar(uint8_t bar, uint32_t offset, std::span<const std::byte> data) {
  while (bar == 0 && !data.empty()) {
    uint32_t value = 0;
    uint32_t mask = 0;
    const uint32_t skipped = offset & 3;
    const size_t count = std::min<size_t>(4 - skipped, data.size());
    std::memcpy(reinterpret_cast<std::byte*>(&value) + skipped, data.data(), count);
    std::memset(reinterpret_cast<std::byte*>(&mask) + skipped, 0xff, count);
    if ((offset & ~3U) < nvme::kDoorbells) {
      WriteRegister(offset & ~3U, value, mask);
    } else if (offset < nvme::kRegisterPagesSize) {
      WriteDoorbell(offset & ~3U, value, mask);
    }
    data = data.subspan(count);
    offset += static_cast<uint32_t>(count);
  }
}

// What follows from a write follows before the next write can hide it.
void NvmeController::WriteRegister(uint32_t offset, uint32_t value, uint32_t mask) {
  if (!IsWritable(offset)) return;
  FollowRegisters();
  const bool sets_bits = offset == nvme::kRegisterIntms || offset == nvme::kRegisterIntmc;
  const uint32_t kept = sets_bits ? 0 : registers_.Load(offset) & ~mask;
  registers_.Store(offset, kept | value);
  FollowRegisters();
}

// A doorbell of no queue is noticed here, and not where it is mapped: nobody watches it there.
void NvmeController::WriteDoorbell(uint32_t offset, uint32_t value, uint32_t mask) {
  const uint32_t id = (offset - nvme::kDoorbells) / 8;
  const bool is_head = offset % 8 != 0;
  const bool exists = id <= nvme::kMaximumIoQueues &&
                      (is_head ? queues_.HasCompletion(id) : queues_.HasSubmission(id));
  if (!exists) {
    if (!IsRunning()) return;
    RaiseEvent(state_.session, nvme::AsyncEvent::kInvalidDoorbellRegister);
    return;
  }
  registers_.Store(offset, (registers_.Load(offset) & ~mask) | value);
}

}  // namespace ioas::soft
