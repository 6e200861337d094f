// Interrupts of an emulated device: INTx, MSI and MSI-X delivered to eventfds, as vfio-pci does.
//
// Which eventfd belongs to which vector lies in the arena, but descriptors belong to processes: the
// one that sets a trigger keeps a hidden duplicate, and any other that carries the device on takes
// a copy from it when it first needs one. A serial number says whether a copy is of the eventfd
// that is set now; a forked child inherits the copies with their numbers.
#ifndef IOAS_SOFT_INTERRUPTS_H_
#define IOAS_SOFT_INTERRUPTS_H_

#include <cstdint>

#include "ioas/base/result.h"
#include "ioas/process_table.h"
#include "ioas/soft/device_model.h"

namespace ioas::soft {

// PCI's five interrupt indexes as VFIO numbers them (include/uapi/linux/vfio.h,
// VFIO_PCI_*_IRQ_INDEX).
enum class Irq : uint32_t { kIntx = 0, kMsi = 1, kMsix = 2, kError = 3, kRequest = 4 };

// As many MSI-X vectors as a device may have here.
inline constexpr uint32_t kMaxVectors = 256;

// Where an eventfd can be set: one for each vector (vector 0 serves INTx too), and three others.
inline constexpr uint32_t kErrorTrigger = kMaxVectors;
inline constexpr uint32_t kRequestTrigger = kMaxVectors + 1;
inline constexpr uint32_t kUnmaskTrigger = kMaxVectors + 2;
inline constexpr uint32_t kTriggers = kMaxVectors + 3;

// The eventfd of a trigger, as the arena holds it.
struct TriggerState {
  uint32_t serial;     // 0: none is set
  uint32_t process;    // who has it: an index in the ProcessTable
  int32_t descriptor;  // its number there
};

struct InterruptState {
  uint32_t enabled;    // vectors that are on: 0 means that none of INTx, MSI, MSI-X is
  Irq active;          // which of the three, if any
  bool intx_disabled;  // by the command register
  bool intx_masked;
  bool pin_asserted;  // the level of INTx
  uint32_t last_serial;
  TriggerState triggers[kTriggers];
};

// A process's view of a device's interrupts. The device's lock is held for every call.
class Interrupts final : public InterruptSink {
 public:
  Interrupts(InterruptState* state, ProcessTable processes)
      : state_(state), processes_(processes) {}
  ~Interrupts() override { CloseCopies(); }

  // How many vectors of MSI or MSI-X, or 1 for INTx, are on.
  uint32_t enabled(Irq irq) const { return state_->active == irq ? state_->enabled : 0; }

  // Turns vectors [0, count) on, or all of `irq` off if `count` is 0. Vectors that are on stay as
  // they are; a smaller count than before changes nothing. EINVAL if another of the three is on, or
  // `irq` is not one of them.
  // Behaviour: vfio_intx_enable, vfio_msi_enable in drivers/vfio/pci/vfio_pci_intrs.c.
  Status Enable(Irq irq, uint32_t count);
  // Everything off, all triggers taken away.
  void Reset();

  // Sets the eventfd of a trigger (an index below kTriggers), or takes it away (-1). EBADF if
  // `eventfd` is not open, EINVAL if it is no eventfd, EMFILE or ENOMEM if it cannot be kept.
  Status SetTrigger(uint32_t trigger, int eventfd);
  bool is_set(uint32_t trigger) const { return state_->triggers[trigger].serial != 0; }
  // Signals the eventfd of a trigger, if there is one: what the kernel's loopback does.
  void Fire(uint32_t trigger);

  // INTx's mask, as SET_IRQS and the command register's interrupt disable bit work it.
  void MaskIntx();
  void UnmaskIntx();
  void SetIntxDisabled(bool disabled);
  bool pin_asserted() const { return state_->pin_asserted; }

  // The eventfd in this process whose event unmasks INTx; -1 if there is none. Callers may wait on
  // it without the device's lock, and find out with it whether the number is still the same.
  int unmask_descriptor() { return LocalDescriptor(kUnmaskTrigger); }
  // Takes the event from the eventfd, and unmasks if there was one.
  void TakeUnmaskEvent();

  void Signal(uint32_t vector) override;
  void SetPin(bool asserted) override;
  bool message_signalled() const override;

  // Closes this process's copies of eventfds. The triggers stay set.
  void CloseCopies();

 private:
  // A copy of a trigger's eventfd in this process.
  struct Copy {
    uint32_t serial;  // of the trigger it was made for; 0: none
    int descriptor;   // -1: it could not be had
  };

  int LocalDescriptor(uint32_t trigger);
  void RaisePin();

  InterruptState* state_;
  ProcessTable processes_;
  Copy copies_[kTriggers] = {};
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_INTERRUPTS_H_
