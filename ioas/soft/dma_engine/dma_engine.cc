#include "ioas/soft/dma_engine/dma_engine.h"

#include <algorithm>
#include <cstring>

namespace ioas::soft {
namespace {

static_assert(offsetof(DmaEngineRegisters, pasid_bits) == 0x1c);
static_assert(offsetof(DmaEngineRegisters, completed) == 0x2c);
static_assert(offsetof(DmaEngineRegisters, doorbell) == 0x1000);
static_assert(sizeof(DmaEngineRegisters) <= kDmaEngineRegisterBytes);

// What programs write, but for the doorbell.
constexpr uint32_t kWritable = offsetof(DmaEngineRegisters, pasid_bits);

bool Wraps(uint64_t first, uint32_t length) { return length != 0 && first + (length - 1) < first; }

}  // namespace

const DeviceIdentity& DmaEngine::identity() const {
  static constexpr DeviceIdentity kIdentity = {.vendor_id = kDmaEngineVendor,
                                               .device_id = kDmaEngineDevice,
                                               .subsystem_vendor_id = kDmaEngineVendor,
                                               .subsystem_id = kDmaEngineDevice,
                                               .class_code = 0x088000,
                                               .revision_id = 1,
                                               .msix_vectors = 1,
                                               .msi_vectors = 1,
                                               .msix_bar = 0,
                                               .msix_table_offset = 0x2000,
                                               .msix_pba_offset = 0x3000};
  return kIdentity;
}

std::span<const BarLayout> DmaEngine::bars() const {
  static constexpr BarLayout kBars[] = {{0, true, false, 0x4000, {0, kDmaEngineRegisterBytes}}};
  return kBars;
}

void DmaEngine::Reset() {
  *state_ = {};
  std::memset(bytes_, 0, kDmaEngineRegisterBytes);
  registers_->pasid_bits = pasid_bits_;
}

bool DmaEngine::Poll() {
  if (state_->is_busy == 0) return Begin();
  const DmaEngineStatus status = CopyPiece();
  registers_->copied = state_->copied;
  if (status != DmaEngineStatus::kBusy) End(status);
  return true;
}

// Whether the device can say the PASID that a register's value means.
bool DmaEngine::TakePasid(uint32_t value, uint32_t& pasid) const {
  pasid = kNoPasid;
  if (value == 0) return true;
  pasid = value & ~kDmaEnginePasidValid;
  return (value & kDmaEnginePasidValid) != 0 && pasid >> pasid_bits_ == 0 && pasid_bits_ != 0;
}

// The registers are read once: the program may write them meanwhile.
bool DmaEngine::Begin() {
  const uint32_t doorbell = registers_->doorbell;
  if (doorbell == state_->served) return false;
  DmaEngineState& state = *state_;
  state.doorbell = doorbell;
  state.copied = 0;
  state.source = registers_->source;
  state.destination = registers_->destination;
  state.length = registers_->length;
  const bool has_source = TakePasid(registers_->source_pasid, state.source_pasid);
  const bool has_destination = TakePasid(registers_->destination_pasid, state.destination_pasid);
  const bool is_right = has_source && has_destination && !Wraps(state.source, state.length) &&
                        !Wraps(state.destination, state.length);
  registers_->copied = 0;
  registers_->status = static_cast<uint32_t>(DmaEngineStatus::kBusy);
  // Whoever dies before has begun nothing.
  std::atomic_signal_fence(std::memory_order_release);
  state.is_busy = 1;
  if (!is_right) End(DmaEngineStatus::kInvalid);
  return true;
}

DmaEngineStatus DmaEngine::CopyPiece() {
  DmaEngineState& state = *state_;
  const auto left = static_cast<uint32_t>(state.length - state.copied);
  if (left == 0) return DmaEngineStatus::kDone;
  const uint32_t size = std::min(left, kPieceBytes);
  const DmaSegment source = {state.source + state.copied, size, state.source_pasid};
  const DmaSegment destination = {state.destination + state.copied, size, state.destination_pasid};
  if (!dma_.Read({&source, 1}, piece_).ok()) return DmaEngineStatus::kSourceFault;
  if (!dma_.Write({&destination, 1}, piece_).ok()) return DmaEngineStatus::kDestinationFault;
  state.copied += size;
  return size == left ? DmaEngineStatus::kDone : DmaEngineStatus::kBusy;
}

// Whoever dies in here has another process end it again: a second interrupt at most.
void DmaEngine::End(DmaEngineStatus status) {
  state_->served = state_->doorbell;
  registers_->status = static_cast<uint32_t>(status);
  registers_->completed = state_->doorbell;
  if (interrupts_.message_signalled()) interrupts_.Signal(0);
  std::atomic_signal_fence(std::memory_order_release);
  state_->is_busy = 0;
}

void DmaEngine::ReadBar(uint8_t, uint32_t offset, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0});
  if (offset < kDmaEngineRegisterBytes) std::memcpy(data.data(), bytes_ + offset, data.size());
}

// What else is written has no effect.
void DmaEngine::WriteBar(uint8_t, uint32_t offset, std::span<const std::byte> data) {
  constexpr uint32_t kDoorbell = offsetof(DmaEngineRegisters, doorbell);
  uint32_t value = 0;
  if (offset + data.size() <= kWritable) {
    std::memcpy(bytes_ + offset, data.data(), data.size());
  } else if (offset == kDoorbell && data.size() >= sizeof(value)) {
    std::memcpy(&value, data.data(), sizeof(value));
    registers_->doorbell = value;
  }
}

}  // namespace ioas::soft
