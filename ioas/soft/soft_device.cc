#include "ioas/soft/soft_device.h"

#include <algorithm>
#include <bit>
#include <new>

#include "ioas/base/private_lock.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/freeze.h"
#include "ioas/soft/peer_process.h"

namespace ioas::soft {
namespace {

// A message of MSI-X takes 16 bytes in the table; a bit in the PBA, in words of 8 bytes.
constexpr uint32_t kMsixEntrySize = 16;
constexpr uint32_t kPbaWordSize = 8;
// How often a thread without anything else to do lets others have the device's lock first.
constexpr int kYields = 16;
// How much of a device's work a program's own thread does at most where there is no other.
constexpr int kPollsInCall = 1000;

// This process's holds. The lock also orders who starts and stops a device's thread.
PrivateLock registry_lock;
std::atomic<SoftDevice*> registry[kMaxDevices];

// The naturally aligned access, of at most 8 bytes, that begins a range: what the kernel turns a
// read() or write() of a BAR into, piece by piece.
uint32_t AccessSize(uint32_t offset, size_t size) {
  uint32_t access = 8;
  while (access > size || offset % access != 0) access /= 2;
  return access;
}

}  // namespace

SoftDevice::SoftDevice(Arena& arena, ArenaRef<SoftDeviceState> device)
    : arena_(arena),
      ref_(device),
      state_(arena.Get(device)),
      config_(&state_->config),
      interrupts_(&state_->interrupts, arena.Get(state_->host)->processes()),
      dma_(arena_, *arena.Get(state_->host), *state_, &watch_),
      worker_(*this, watch_) {}

Result<SoftDevice*> SoftDevice::Open(Arena& arena, ArenaRef<SoftDeviceState> device,
                                     ModelFactory factory) {
  const PrivateLock::Guard guard(registry_lock);
  std::atomic<SoftDevice*>* slot = nullptr;
  for (std::atomic<SoftDevice*>& candidate : registry) {
    SoftDevice* held = candidate;
    if (held != nullptr && held->state_ == arena.Get(device)) {
      ++held->holds_;
      return held;
    }
    if (held == nullptr && slot == nullptr) slot = &candidate;
  }
  if (slot == nullptr) return Error{EMFILE, "this process holds too many devices"};

  SoftDevice* opened = new (std::nothrow) SoftDevice(arena, device);
  if (opened == nullptr) return Error{ENOMEM, "no memory for a device"};
  const SoftDeviceState& state = *opened->state_;
  opened->model_ =
      factory({opened->arena_, state, opened->arena_.Get(ArenaRef<std::byte>{state.model_unit}),
               opened->arena_.Get(ArenaRef<std::byte>{state.registers_unit}), opened->dma_,
               opened->interrupts_});
  if (opened->model_ == nullptr) {
    delete opened;
    return Error{ENOMEM, "no memory for a device's model"};
  }
  opened->holds_ = 1;
  *slot = opened;
  return opened;
}

void SoftDevice::Close() {
  const PrivateLock::Guard guard(registry_lock);
  if (--holds_ != 0) return;
  for (std::atomic<SoftDevice*>& slot : registry) {
    if (slot == this) slot = nullptr;
  }
  delete this;
}

void SoftDevice::AfterForkInParent() {
  for (std::atomic<SoftDevice*>& slot : registry) {
    if (SoftDevice* device = slot) device->worker_.AfterForkInParent();
  }
}

void SoftDevice::AfterForkInChild() {
  registry_lock.AfterForkInChild();
  ProcessTable::OnFork();
  ForgetPeersAfterFork();
  for (std::atomic<SoftDevice*>& slot : registry) {
    if (SoftDevice* device = slot) device->worker_.AfterForkInChild();
  }
}

void SoftDevice::ReadConfig(uint32_t offset, std::span<std::byte> data) {
  if (errors().has(kIoFrozen | kInReset)) {
    std::fill(data.begin(), data.end(), std::byte{0xff});
    return;
  }
  DeviceLock lock(*state_);
  config_.SetInterruptStatus(interrupts_.pin_asserted());
  config_.Read(offset, data);
}

void SoftDevice::WriteConfig(uint32_t offset, std::span<const std::byte> data) {
  if (errors().has(kIoFrozen | kInReset)) return;
  DeviceLock lock(*state_);
  const uint32_t effects = config_.Write(offset, data);
  if ((effects & kCommandWritten) != 0) interrupts_.SetIntxDisabled(config_.intx_disabled());
  if ((effects & kFunctionReset) != 0) ResetModel();
}

const BarLayout* SoftDevice::FindBar(uint8_t index) const {
  const std::span<const BarLayout> bars = model_->bars();
  const auto found = std::find_if(bars.begin(), bars.end(),
                                  [&](const BarLayout& bar) { return bar.index == index; });
  return found == bars.end() ? nullptr : &*found;
}

BarInfo SoftDevice::bar(uint8_t index) const {
  const BarLayout* bar = FindBar(index);
  if (bar == nullptr) return {};
  return {bar->size, bar->mappable.offset, bar->mappable.size};
}

uint32_t SoftDevice::PieceAt(uint8_t index, uint32_t offset, size_t size, BarPart& part) const {
  const DeviceIdentity& identity = model_->identity();
  const uint32_t vectors = identity.msix_vectors;
  const uint32_t pba_words = (vectors + 63) / 64;
  const struct {
    BarPart part;
    uint32_t first;
    uint32_t size;
  } windows[] = {{BarPart::kMsixTable, identity.msix_table_offset, vectors * kMsixEntrySize},
                 {BarPart::kMsixPba, identity.msix_pba_offset, pba_words * kPbaWordSize}};
  part = BarPart::kModel;
  uint64_t end = offset + uint64_t{size};
  if (index != identity.msix_bar) return static_cast<uint32_t>(end - offset);
  for (const auto& window : windows) {
    const uint64_t window_end = uint64_t{window.first} + window.size;
    if (offset >= window.first && offset < window_end) {
      part = window.part;
      end = std::min(end, window_end);
    } else if (offset < window.first) {
      end = std::min<uint64_t>(end, window.first);
    }
  }
  return static_cast<uint32_t>(end - offset);
}

Status SoftDevice::ReadBar(uint8_t index, uint64_t offset, std::span<std::byte> data) {
  DeviceLock lock(*state_);
  if (!config_.memory_enabled()) return Error{EIO, "the device's memory decoding is off"};
  (void)FollowErrors(arena_, *state_);
  // Not so where an operator holds the device: its registers are there.
  if (state_->hides_registers) {
    std::fill(data.begin(), data.end(), std::byte{0xff});
    return {};
  }
  auto at = static_cast<uint32_t>(offset);
  while (!data.empty()) {
    BarPart part;
    uint32_t size = PieceAt(index, at, data.size(), part);
    if (part == BarPart::kModel) {
      size = AccessSize(at, size);
      model_->ReadBar(index, at, data.first(size));
    } else {
      // No vector is ever pending: eventfds keep what comes while nobody looks.
      const std::byte fill{static_cast<uint8_t>(part == BarPart::kMsixTable ? 0xff : 0)};
      std::fill_n(data.begin(), size, fill);
    }
    data = data.subspan(size);
    at += size;
  }
  return {};
}

Status SoftDevice::WriteBar(uint8_t index, uint64_t offset, std::span<const std::byte> data) {
  {
    DeviceLock lock(*state_);
    if (!config_.memory_enabled()) return Error{EIO, "the device's memory decoding is off"};
    (void)FollowErrors(arena_, *state_);
    if (state_->hides_registers) return {};
    auto at = static_cast<uint32_t>(offset);
    while (!data.empty()) {
      BarPart part;
      uint32_t size = PieceAt(index, at, data.size(), part);
      if (part == BarPart::kModel) {
        size = AccessSize(at, size);
        model_->WriteBar(index, at, data.first(size));
      }
      data = data.subspan(size);
      at += size;
    }
  }
  Kick();
  return {};
}

uint64_t SoftDevice::MappableFileOffset(uint8_t) const {
  // The mappable registers of a model are one block, of one BAR.
  return uint64_t{state_->registers_unit} * kArenaUnit;
}

void SoftDevice::OnMap(void* address, size_t size) {
  watch_.Add(reinterpret_cast<uintptr_t>(address), size);
  worker_.Wake();
}

void SoftDevice::OnUnmap(void* address, size_t size) {
  watch_.Remove(reinterpret_cast<uintptr_t>(address), size);
}

void SoftDevice::Attach(const DmaTarget& target) {
  DeviceLock lock(*state_);
  state_->target = target;
}

Status SoftDevice::AttachPasid(uint32_t pasid, const DmaTarget& target) {
  DeviceLock lock(*state_);
  PasidTable targets(arena_, &state_->pasid_targets);
  if (target.space) return targets.Set(pasid, target);
  targets.Remove(pasid);
  return {};
}

uint32_t SoftDevice::NextPasid(uint32_t pasid) {
  DeviceLock lock(*state_);
  return PasidTable(arena_, &state_->pasid_targets).Next(pasid);
}

void SoftDevice::Reset() {
  DeviceLock lock(*state_);
  interrupts_.Reset();
  config_.Reset(model_->identity(), model_->bars());
  ResetModel();
}

void SoftDevice::ResetFunction() {
  DeviceLock lock(*state_);
  ResetModel();
}

void SoftDevice::ResetModel() {
  // A model that is reset writes its registers.
  ShowRegisters(arena_, *state_);
  model_->Reset();
  (void)FollowErrors(arena_, *state_);
}

Status SoftDevice::Start() {
  if (worker_.running()) return {};
  const PrivateLock::Guard guard(registry_lock);
  return worker_.Start();
}

void SoftDevice::Stop() {
  const PrivateLock::Guard guard(registry_lock);
  worker_.Stop();
}

// The thread's share. It has all signals blocked already, so it takes the lock as it is. A holder
// that died has left the model in a state that it can be carried on from.
bool SoftDevice::Poll() {
  for (int i = 0; i < kYields && state_->waiting.load(std::memory_order_relaxed) != 0; ++i) {
    SystemCall(SYS_sched_yield);
  }
  bool froze = false;
  (void)state_->mutex.Lock();
  const bool worked = PollModel(froze);
  state_->mutex.Unlock();
  if (froze) FollowErrorsOfGroup();
  return worked;
}

bool SoftDevice::PollModel(bool& froze) {
  if (!FollowErrors(arena_, *state_)) return false;
  const bool worked = model_->Poll();
  froze = errors().has(kIoFrozen);
  return worked;
}

void SoftDevice::FollowErrorsOfGroup() {
  ioas::soft::FollowErrorsOfGroup(arena_, *arena_.Get(state_->host), state_->group_index);
}

int SoftDevice::WakeDescriptor() {
  DeviceLock lock(*state_);
  return interrupts_.unmask_descriptor();
}

void SoftDevice::OnWakeDescriptor() {
  DeviceLock lock(*state_);
  interrupts_.TakeUnmaskEvent();
}

void SoftDevice::Kick() {
  if (worker_.running()) {
    worker_.Wake();
    return;
  }
  for (int i = 0; i < kPollsInCall; ++i) {
    bool froze = false;
    bool worked = false;
    {
      DeviceLock lock(*state_);
      worked = PollModel(froze);
    }
    if (froze) FollowErrorsOfGroup();
    if (!worked) return;
  }
}

}  // namespace ioas::soft
