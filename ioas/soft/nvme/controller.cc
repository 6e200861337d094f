#include "ioas/soft/nvme/controller.h"

#include <bit>

#include "ioas/soft/nvme/admin.h"
#include "ioas/soft/nvme/async_events.h"
#include "ioas/soft/nvme/identify.h"
#include "ioas/soft/nvme/log_pages.h"

namespace ioas::soft {
namespace {

using nvme::CommandOutcome;
using nvme::CommandStatus;
using nvme::kBatch;
using nvme::kInterruptVectors;
using nvme::kRegisterPagesSize;
using nvme::SubmissionEntry;

constexpr uint32_t kMsixTable = kRegisterPagesSize;
constexpr uint32_t kMsixPending = kMsixTable + 0x1000;
static_assert(kInterruptVectors * 16 <= 0x1000);

constexpr DeviceIdentity kIdentity = {
    .vendor_id = nvme::kVendorId,
    .device_id = nvme::kDeviceId,
    .subsystem_vendor_id = nvme::kSubsystemVendorId,
    .subsystem_id = nvme::kSubsystemId,
    .class_code = 0x010802,  // mass storage, non-volatile memory, NVM Express
    .revision_id = 2,
    .msix_vectors = kInterruptVectors,
    .msi_vectors = 32,
    .msix_bar = 0,
    .msix_table_offset = kMsixTable,
    .msix_pba_offset = kMsixPending,
};

constexpr BarLayout kBars[] = {{
    .index = 0,
    .is_64bit = true,
    .prefetchable = false,
    .size = kMsixPending + 0x1000,
    .mappable = {.offset = 0, .size = kRegisterPagesSize},
}};

// When Poll returns although there is more to do: after this many admin commands, or when the I/O
// commands have cost as much as copying this many bytes.
constexpr uint32_t kAdminCommandsPerPoll = 8;
constexpr uint64_t kCostPerPoll = 512 << 10;
// When completions are posted although more commands of the batch are to come.
constexpr uint64_t kCostPerBatch = 256 << 10;

}  // namespace

NvmeController::NvmeController(const NvmeConfig& config, NvmeState* state, std::byte* registers,
                               DmaPort& dma, InterruptSink& interrupts)
    : config_(config),
      state_(*state),
      registers_(registers),
      interrupts_(interrupts),
      image_(config_.image_path),
      context_{.config = config_, .state = state_, .dma = dma, .image = image_},
      queues_(state_.session, registers_, dma, interrupts),
      io_commands_(context_) {}

const DeviceIdentity& NvmeController::identity() const { return kIdentity; }

std::span<const BarLayout> NvmeController::bars() const { return kBars; }

bool NvmeController::IsRunning() const {
  return (state_.session.csts & (nvme::kCstsReady | nvme::kCstsFatal | nvme::kCstsShutdownMask)) ==
         nvme::kCstsReady;
}

// Queue memory that cannot be reached leaves nobody to report to: the host sees the status bit.
void NvmeController::Fail() { SetStatus(state_.session.csts | nvme::kCstsFatal); }

bool NvmeController::Poll() {
  bool worked = FollowRegisters();
  if (!IsRunning()) return worked;
  worked |= PostUnposted();
  worked |= queues_.NoticeDoorbells();
  worked |= ServeAdminQueue();
  worked |= ServeIoQueues();
  worked |= ReportEvents();
  queues_.DeliverInterrupts();
  return worked;
}

bool NvmeController::PostUnposted() {
  if (!queues_.HasUnposted()) return false;
  if (!queues_.Post().ok()) Fail();
  return true;
}

void NvmeController::Complete(uint32_t queue, const SubmissionEntry& command,
                              const CommandOutcome& outcome) {
  if (outcome.status != CommandStatus::kSuccess) {
    nvme::RecordError(state_.lifetime, queue, command, outcome.status);
  }
  queues_.Complete(command.command_id, outcome);
}

bool NvmeController::ServeAdminQueue() {
  bool worked = false;
  for (uint32_t i = 0; i < kAdminCommandsPerPoll && IsRunning(); ++i) {
    SubmissionEntry command;
    const Result<uint32_t> fetched = queues_.Fetch(0, {&command, 1});
    if (!fetched.ok()) Fail();
    if (*fetched == 0) break;
    worked = true;
    const CommandOutcome outcome = nvme::ExecuteAdminCommand(context_, queues_, command);
    if (outcome.outstanding) {
      queues_.Hold(0);
      continue;
    }
    Complete(0, command, outcome);
    if (!queues_.Post().ok()) Fail();
  }
  return worked;
}

// Round robin (4.13): each queue gets a batch in turn, and the next call begins where this ends.
bool NvmeController::ServeIoQueues() {
  bool worked = false;
  nvme::Session& session = state_.session;
  const uint64_t all = session.submission_queue_bits;
  uint64_t turn = all & (~uint64_t{0} << session.next_io_queue);
  io_commands_.ResetCost();
  for (int left = std::popcount(all); left > 0 && IsRunning(); --left) {
    if (turn == 0) turn = all;
    const auto bit = static_cast<uint32_t>(std::countr_zero(turn));
    turn &= turn - 1;
    worked |= ServeIoQueue(bit + 1);
    if (io_commands_.cost() < kCostPerPoll) continue;
    session.next_io_queue = (bit + 1) % nvme::kMaximumIoQueues;
    break;
  }
  return worked;
}

bool NvmeController::ServeIoQueue(uint32_t id) {
  SubmissionEntry commands[kBatch];
  const Result<uint32_t> fetched = queues_.Fetch(id, commands);
  if (!fetched.ok()) Fail();
  if (!fetched.ok() || *fetched == 0) return false;
  const uint64_t cost_before = io_commands_.cost();
  for (uint32_t i = 0; i < *fetched; ++i) {
    Complete(id, commands[i], {.status = io_commands_.Execute(commands[i])});
    if (io_commands_.cost() - cost_before >= kCostPerBatch) break;
  }
  if (!queues_.Post().ok()) Fail();
  return true;
}

bool NvmeController::ReportEvents() {
  bool worked = false;
  uint16_t command_id = 0;
  uint32_t result = 0;
  while (IsRunning() && queues_.HasRoomForHeld(0) &&
         nvme::TakeReport(state_.session.events, &command_id, &result)) {
    queues_.CompleteHeld(0, command_id, result);
    if (!queues_.Post().ok()) Fail();
    worked = true;
  }
  return worked;
}

}  // namespace ioas::soft
