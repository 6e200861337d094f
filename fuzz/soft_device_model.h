// A device model that does what its registers say: copies memory, interrupts.
#ifndef FUZZ_SOFT_DEVICE_MODEL_H_
#define FUZZ_SOFT_DEVICE_MODEL_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz/input.h"
#include "ioas/soft/device_model.h"
#include "ioas/soft/soft_device.h"

namespace fuzz {

inline constexpr uint32_t kModelBar = 0x4000;
inline constexpr uint32_t kModelRegisters = 0x2000;  // what programs map
inline constexpr uint32_t kModelMsixTable = 0x2000;
inline constexpr uint32_t kModelMsixPba = 0x3000;
inline constexpr uint32_t kModelMsix = 8;
inline constexpr uint32_t kModelMsi = 4;

// The first page tells what the command is about; the command is the second page's first word.
struct ModelRegisters {
  uint64_t source;  // IOVAs
  uint64_t destination;
  uint32_t length;     // of the copy, in bytes, less one; the low bits count
  uint32_t completed;  // the last command
  uint32_t failures;   // copies that faulted
  std::byte pad[0x1000 - 28];
  uint32_t command;
  std::byte rest[0xffc];
};
static_assert(sizeof(ModelRegisters) == kModelRegisters);

inline constexpr uint32_t kModelLengthMask = 0x3fff;

enum class ModelCommand : uint32_t { kCopy, kSignal, kRaisePin, kLowerPin };

constexpr ModelCommand CommandOf(uint32_t command) { return ModelCommand{command & 3}; }
constexpr uint32_t VectorOf(uint32_t command) { return command >> 8 & 0x1ff; }

struct ModelState {
  std::atomic<uint32_t> done;  // the command that was carried out last
  uint32_t resets;
};

class CommandModel final : public ioas::soft::DeviceModel {
 public:
  explicit CommandModel(const ioas::soft::ModelParts& parts)
      : state_(reinterpret_cast<ModelState*>(parts.state)),
        bytes_(parts.registers),
        dma_(parts.dma),
        interrupts_(parts.interrupts) {}

  static std::unique_ptr<DeviceModel> Make(const ioas::soft::ModelParts& parts) {
    return std::make_unique<CommandModel>(parts);
  }

  const ioas::soft::DeviceIdentity& identity() const override {
    static constexpr ioas::soft::DeviceIdentity kIdentity = {.vendor_id = 0x1234,
                                                             .device_id = 0x5678,
                                                             .subsystem_vendor_id = 0x9abc,
                                                             .subsystem_id = 0xdef0,
                                                             .class_code = 0xff0000,
                                                             .revision_id = 1,
                                                             .msix_vectors = kModelMsix,
                                                             .msi_vectors = kModelMsi,
                                                             .msix_bar = 0,
                                                             .msix_table_offset = kModelMsixTable,
                                                             .msix_pba_offset = kModelMsixPba};
    return kIdentity;
  }
  std::span<const ioas::soft::BarLayout> bars() const override {
    // The second one has no MSI-X table in it.
    static constexpr ioas::soft::BarLayout kBars[] = {
        {0, true, false, kModelBar, {0, kModelRegisters}}, {2, false, false, 0x1000, {0, 0}}};
    return kBars;
  }

  void Reset() override {
    ++state_->resets;
    state_->done = 0;
    std::memset(bytes_, 0, kModelRegisters);
    interrupts_.SetPin(false);
  }

  bool Poll() override {
    auto& registers = *reinterpret_cast<ModelRegisters*>(bytes_);
    const uint32_t command = std::atomic_ref(registers.command).load();
    if (command == state_->done) return false;
    switch (CommandOf(command)) {
      case ModelCommand::kCopy:
        if (!Copy(registers)) ++registers.failures;
        break;
      case ModelCommand::kSignal:
        if (interrupts_.message_signalled()) interrupts_.Signal(VectorOf(command));
        break;
      case ModelCommand::kRaisePin:
      case ModelCommand::kLowerPin:
        interrupts_.SetPin(CommandOf(command) == ModelCommand::kRaisePin);
        break;
    }
    registers.completed = command;
    state_->done = command;
    return true;
  }

  void ReadBar(uint8_t bar, uint32_t offset, std::span<std::byte> data) override {
    RequirePiece(bar, offset, data.size());
    std::memset(data.data(), 0, data.size());
    if (bar == 0 && offset < kModelRegisters)
      std::memcpy(data.data(), bytes_ + offset, data.size());
  }
  void WriteBar(uint8_t bar, uint32_t offset, std::span<const std::byte> data) override {
    RequirePiece(bar, offset, data.size());
    if (bar == 0 && offset < kModelRegisters)
      std::memcpy(bytes_ + offset, data.data(), data.size());
  }

 private:
  bool Copy(const ModelRegisters& registers) {
    const uint32_t length = (registers.length & kModelLengthMask) + 1;
    std::vector<std::byte> buffer(length);
    const ioas::soft::DmaSegment source = {registers.source, length};
    const ioas::soft::DmaSegment destination = {registers.destination, length};
    return dma_.Read({&source, 1}, buffer.data()).ok() &&
           dma_.Write({&destination, 1}, buffer.data()).ok();
  }

  // Naturally aligned, of at most 8 bytes, and nothing of the MSI-X table and PBA.
  static void RequirePiece(uint8_t bar, uint32_t offset, size_t size) {
    FUZZ_REQUIRE(size <= 8 && std::has_single_bit(size) && offset % size == 0);
    if (bar != 0) return;
    FUZZ_REQUIRE(offset + size <= kModelMsixTable || offset >= kModelMsixTable + 16 * kModelMsix);
    FUZZ_REQUIRE(offset + size <= kModelMsixPba || offset >= kModelMsixPba + 8);
  }

  ModelState* state_;
  std::byte* bytes_;
  ioas::soft::DmaPort& dma_;
  ioas::soft::InterruptSink& interrupts_;
};

}  // namespace fuzz

#endif  // FUZZ_SOFT_DEVICE_MODEL_H_
