// A DMA engine: copies memory from one IOVA to another, each in an address space of its own choice:
// that of one of the device's PASIDs, or that of accesses without one.
//
// A PCI function that is nobody's: vendor 0x1234, device 0xd3a0, class 0x088000. It has one vector
// of MSI-X, one of MSI, and never asserts INTx.
//
// BAR 0 has 16 KiB, of which programs may map the first two pages:
//
//   offset  bytes
//   0x00    8      source       the first byte's IOVA
//   0x08    8      destination  likewise
//   0x10    4      source_pasid       bit 31: the source is that of the PASID in bits 19 to 0
//   0x14    4      destination_pasid  likewise; without bit 31 all is 0
//   0x18    4      length       bytes; none is right as well
//   0x1c    4      pasid_bits   how many bits the device's PASIDs have; 0: it has none
//   0x20    8      copied       bytes of the copy that is under way, or was the last
//   0x28    4      status       what has become of it: DmaEngineStatus
//   0x2c    4      completed    the doorbell of the last copy that is over
//   0x1000  4      doorbell     any other value than before: copy as the registers say
//
// and from 0x2000 on the MSI-X table, from 0x3000 on the PBA. To copy, a program writes 0x00 to
// 0x1b, then the doorbell, and leaves all of them alone until `completed` is the doorbell's value;
// vector 0 says that it is. From 0x1c on registers are written by the device alone. Reset, they
// are 0 but for pasid_bits.
//
// The copy goes upwards in pieces of up to 64 KiB, each of which is read before it is written, and
// ends where one cannot be. `copied` then says what was before that piece. The host's record of
// faults says where and why (ioas/soft/faults.h).
#ifndef IOAS_SOFT_DMA_ENGINE_DMA_ENGINE_H_
#define IOAS_SOFT_DMA_ENGINE_DMA_ENGINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ioas/soft/device_model.h"

namespace ioas::soft {

enum class DmaEngineStatus : uint32_t {
  kNone = 0,              // no doorbell was rung
  kBusy = 1,              // the copy is under way
  kDone = 2,              // all of it is there
  kSourceFault = 3,       // a piece could not be read
  kDestinationFault = 4,  // a piece could not be written
  kInvalid = 5,  // a PASID that the device does not have, a bit that is none, a range that wraps
};

// In source_pasid and destination_pasid.
inline constexpr uint32_t kDmaEnginePasidValid = 1u << 31;

inline constexpr uint32_t kDmaEngineRegisterBytes = 0x2000;
inline constexpr uint16_t kDmaEngineVendor = 0x1234;
inline constexpr uint16_t kDmaEngineDevice = 0xd3a0;

// What programs map, as above.
struct DmaEngineRegisters {
  std::atomic<uint64_t> source;
  std::atomic<uint64_t> destination;
  std::atomic<uint32_t> source_pasid;
  std::atomic<uint32_t> destination_pasid;
  std::atomic<uint32_t> length;
  std::atomic<uint32_t> pasid_bits;
  std::atomic<uint64_t> copied;
  std::atomic<uint32_t> status;
  std::atomic<uint32_t> completed;
  char pad[0x1000 - 0x30];
  std::atomic<uint32_t> doorbell;
};

// What the engine remembers, in the arena: a copy goes on in whichever process polls next. All zero
// it remembers nothing.
struct DmaEngineState {
  uint32_t is_busy;  // the rest is what is being done
  uint32_t doorbell;
  uint32_t served;  // the doorbell that was served last
  uint32_t length;
  uint64_t copied;
  uint64_t source;
  uint64_t destination;
  uint32_t source_pasid;  // kNoPasid: none
  uint32_t destination_pasid;
};

class DmaEngine final : public DeviceModel {
 public:
  // `registers`: kDmaEngineRegisterBytes, page aligned. All of it outlives the engine.
  // `pasid_bits`: of the device's PASIDs, 0 to 20.
  DmaEngine(uint8_t pasid_bits, DmaEngineState* state, std::byte* registers, DmaPort& dma,
            InterruptSink& interrupts)
      : pasid_bits_(pasid_bits),
        state_(state),
        bytes_(registers),
        registers_(reinterpret_cast<DmaEngineRegisters*>(registers)),
        dma_(dma),
        interrupts_(interrupts) {}

  const DeviceIdentity& identity() const override;
  std::span<const BarLayout> bars() const override;
  void Reset() override;
  // Begins a copy, or copies one piece.
  bool Poll() override;
  void ReadBar(uint8_t bar, uint32_t offset, std::span<std::byte> data) override;
  void WriteBar(uint8_t bar, uint32_t offset, std::span<const std::byte> data) override;

 private:
  static constexpr uint32_t kPieceBytes = 64 * 1024;

  bool Begin();
  DmaEngineStatus CopyPiece();
  void End(DmaEngineStatus status);
  bool TakePasid(uint32_t value, uint32_t& pasid) const;

  uint8_t pasid_bits_;
  DmaEngineState* state_;
  std::byte* bytes_;
  DmaEngineRegisters* registers_;
  DmaPort& dma_;
  InterruptSink& interrupts_;
  std::byte piece_[kPieceBytes];
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_DMA_ENGINE_DMA_ENGINE_H_
