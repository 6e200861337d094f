// A device model for tests: each time that its doorbell is written, it copies a message by DMA and
// interrupts.
#ifndef IOAS_SOFT_ECHO_MODEL_H_
#define IOAS_SOFT_ECHO_MODEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "ioas/soft/device_model.h"
#include "ioas/soft/soft_device.h"

namespace ioas::soft {

inline constexpr uint32_t kEchoMessageSize = 64;
inline constexpr uint32_t kEchoRegisterBytes = 0x2000;

// What programs map. Offsets in BAR 0 are those in the structure.
struct EchoRegisters {
  std::atomic<uint64_t> source;  // IOVAs
  std::atomic<uint64_t> destination;
  std::atomic<uint32_t> completed;  // value of the last doorbell that was served
  std::atomic<uint32_t> failures;   // how many of them failed
  char pad[0x1000 - 24];
  std::atomic<uint32_t> doorbell;
};

struct EchoState {
  uint32_t served;  // the doorbell that was served last
  uint32_t resets;
};

// BAR 0 is 16 KiB: two pages of registers, the MSI-X table at 0x2000, its PBA at 0x3000.
class EchoModel final : public DeviceModel {
 public:
  explicit EchoModel(const ModelParts& parts)
      : state_(reinterpret_cast<EchoState*>(parts.state)),
        bytes_(parts.registers),
        registers_(reinterpret_cast<EchoRegisters*>(parts.registers)),
        dma_(parts.dma),
        interrupts_(parts.interrupts) {}

  static std::unique_ptr<DeviceModel> Make(const ModelParts& parts) {
    return std::make_unique<EchoModel>(parts);
  }

  const DeviceIdentity& identity() const override {
    static constexpr DeviceIdentity kIdentity = {.vendor_id = 0x1234,
                                                 .device_id = 0x5678,
                                                 .subsystem_vendor_id = 0x9abc,
                                                 .subsystem_id = 0xdef0,
                                                 .class_code = 0x010802,
                                                 .revision_id = 7,
                                                 .msix_vectors = 8,
                                                 .msi_vectors = 4,
                                                 .msix_bar = 0,
                                                 .msix_table_offset = 0x2000,
                                                 .msix_pba_offset = 0x3000};
    return kIdentity;
  }
  std::span<const BarLayout> bars() const override {
    static constexpr BarLayout kBars[] = {{0, true, false, 0x4000, {0, kEchoRegisterBytes}}};
    return kBars;
  }

  void Reset() override {
    ++state_->resets;
    state_->served = 0;
    registers_->doorbell = 0;
    registers_->completed = 0;
    interrupts_.SetPin(false);
  }

  bool Poll() override {
    const uint32_t doorbell = registers_->doorbell;
    if (doorbell == state_->served) return false;
    const DmaSegment source = {registers_->source, kEchoMessageSize};
    const DmaSegment destination = {registers_->destination, kEchoMessageSize};
    std::byte message[kEchoMessageSize];
    const bool copied =
        dma_.Read({&source, 1}, message).ok() && dma_.Write({&destination, 1}, message).ok();
    if (!copied) ++registers_->failures;
    state_->served = doorbell;
    registers_->completed = doorbell;
    if (interrupts_.message_signalled()) {
      interrupts_.Signal(doorbell);
    } else {
      interrupts_.SetPin(true);
    }
    return true;
  }

  void ReadBar(uint8_t, uint32_t offset, std::span<std::byte> data) override {
    std::memset(data.data(), 0, data.size());
    if (offset < kEchoRegisterBytes) std::memcpy(data.data(), bytes_ + offset, data.size());
  }
  // A write of the word behind the doorbell takes the level of INTx away.
  void WriteBar(uint8_t, uint32_t offset, std::span<const std::byte> data) override {
    if (offset == offsetof(EchoRegisters, doorbell) + 4) {
      interrupts_.SetPin(false);
    } else if (offset == offsetof(EchoRegisters, doorbell)) {
      uint32_t value;
      std::memcpy(&value, data.data(), sizeof(value));
      registers_->doorbell = value;
    } else if (offset < kEchoRegisterBytes) {
      std::memcpy(bytes_ + offset, data.data(), data.size());
    }
  }

 private:
  EchoState* state_;
  std::byte* bytes_;
  EchoRegisters* registers_;
  DmaPort& dma_;
  InterruptSink& interrupts_;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_ECHO_MODEL_H_
