// What an emulated device is to do, as plainly as can be: memory as pages, interrupts as numbers of
// events, registers as bytes.
#ifndef FUZZ_SOFT_DEVICE_REFERENCE_H_
#define FUZZ_SOFT_DEVICE_REFERENCE_H_

#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <vector>

#include "fuzz/soft_device_model.h"
#include "ioas/range.h"
#include "ioas/soft/faults.h"
#include "ioas/soft/interrupts.h"

namespace fuzz {

inline constexpr uint64_t kDevicePage = 4096;

// A page that devices reach.
struct ReferencePage {
  uint64_t user_address;
  uint32_t access;
  uint32_t owner;
  uint64_t first;  // of its mapping
};

// A place and a length in the device's address space.
using Segments = std::vector<ioas::soft::DmaSegment>;

struct ReferenceFault {
  uint64_t iova;
  ioas::Access access;
  ioas::soft::FaultReason reason;
};

// INTx, MSI and MSI-X, and what was sent where. An eventfd is a number here; kNoEvent: none.
class ReferenceInterrupts {
 public:
  static constexpr int kNoEvent = -1;
  static constexpr uint32_t kEvents = 5;
  // INTx is unmasked by it, so that nothing is sent there.
  static constexpr int kUnmaskEvent = 4;

  // How many vectors a type has; 0 if there is no such type.
  static uint32_t CountOf(ioas::soft::Irq irq);
  static bool IsVectors(ioas::soft::Irq irq) { return irq <= ioas::soft::Irq::kMsix; }

  // Each returns an errno, or 0.
  int Enable(ioas::soft::Irq irq, uint32_t count);
  int SetTrigger(ioas::soft::Irq irq, uint32_t vector, int event);
  int SetUnmask(int event);

  uint32_t enabled(ioas::soft::Irq irq) const;
  bool is_message_signalled() const;
  bool has_unmask_event() const { return unmask_ != kNoEvent; }
  void Mask() { masked_ = true; }
  void Unmask();
  void SetDisabled(bool disabled);
  void Fire(ioas::soft::Irq irq, uint32_t vector);
  void Signal(uint32_t vector);
  void SetPin(bool asserted);
  bool pin() const { return pin_; }
  void Reset();

  // How many events were sent to each since the last time.
  std::array<uint64_t, kEvents> TakeSent();
  // Event `event` of this vector was set by another process.
  void SetForeign(uint32_t vector, int event) { vectors_[vector] = event; }

 private:
  void RaisePin();
  void Send(int event) {
    if (event != kNoEvent) ++sent_[event];
  }

  ioas::soft::Irq active_ = ioas::soft::Irq::kIntx;
  uint32_t enabled_ = 0;
  bool disabled_ = false;
  bool masked_ = false;
  bool pin_ = false;
  std::array<int, kModelMsix> vectors_ = NoEvents();
  int error_ = kNoEvent;
  int request_ = kNoEvent;
  int unmask_ = kNoEvent;
  std::array<uint64_t, kEvents> sent_{};

  static std::array<int, kModelMsix> NoEvents() {
    std::array<int, kModelMsix> events;
    events.fill(kNoEvent);
    return events;
  }
};

class DeviceReference {
 public:
  // What holds back DMA: GroupErrors. Freezes the group if a fault does that.
  uint32_t errors = 0;
  bool is_attached = true;
  bool is_bus_master = false;
  bool has_memory = true;
  std::map<uint64_t, ReferencePage> pages;  // by IOVA
  std::vector<ioas::IovaRange> refused;
  std::optional<uint64_t> hole;  // the user address of a page that is not there
  bool peer_is_gone = false;
  uint64_t faults = 0, space_faults = 0, read = 0, written = 0;
  std::optional<ReferenceFault> last_fault;
  ReferenceInterrupts interrupts;
  ModelRegisters registers{};
  uint32_t done = 0;

  std::byte* bytes() { return reinterpret_cast<std::byte*>(&registers); }
  bool io_frozen() const;
  bool may_go_on() const;

  // What a device's access does. Memory is what user addresses lead to in `memory`, a copy of it
  // that begins at `base`. Returns whether there was no fault.
  bool Transfer(const Segments& segments, std::vector<std::byte>& buffer, ioas::Access access,
                std::vector<std::byte>& memory, uint64_t base);
  // Carries out all that the registers ask for.
  void Run(std::vector<std::byte>& memory, uint64_t base);
  // Fills in what a read of a BAR gives.
  void ReadBar(uint8_t bar, uint32_t offset, std::span<std::byte> data);
  void WriteBar(uint8_t bar, uint32_t offset, std::span<const std::byte> data);
  void ResetModel();

 private:
  // Why the byte cannot be reached; nothing if it can.
  std::optional<ioas::soft::FaultReason> Obstacle(uint64_t iova, ioas::Access access) const;
  bool Fail(uint64_t iova, ioas::Access access, ioas::soft::FaultReason reason);
};

}  // namespace fuzz

#endif  // FUZZ_SOFT_DEVICE_REFERENCE_H_
