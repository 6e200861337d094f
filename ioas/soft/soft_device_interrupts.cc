// The part of SoftDevice that VFIO_DEVICE_SET_IRQS works on.
#include "ioas/soft/soft_device.h"

namespace ioas::soft {
namespace {

// The trigger behind an interrupt that is not one of several vectors.
uint32_t TriggerOf(Irq irq, uint32_t vector) {
  if (irq == Irq::kError) return kErrorTrigger;
  if (irq == Irq::kRequest) return kRequestTrigger;
  return vector;
}

bool IsEvent(Irq irq) { return irq == Irq::kError || irq == Irq::kRequest; }

}  // namespace

uint32_t SoftDevice::irq_count(Irq irq) const {
  switch (irq) {
    case Irq::kMsi:
      return model_->identity().msi_vectors;
    case Irq::kMsix:
      return model_->identity().msix_vectors;
    case Irq::kIntx:
    case Irq::kError:
    case Irq::kRequest:
      return 1;
  }
  return 0;
}

uint32_t SoftDevice::irq_enabled(Irq irq) const {
  DeviceLock lock(*state_);
  if (IsEvent(irq)) return interrupts_.is_set(TriggerOf(irq, 0)) ? 1 : 0;
  return interrupts_.enabled(irq);
}

Status SoftDevice::EnableIrq(Irq irq, uint32_t count) {
  if (count > irq_count(irq)) return Error{EINVAL, "the device has not so many vectors"};
  {
    DeviceLock lock(*state_);
    if (IsEvent(irq)) return count != 0 ? Status() : interrupts_.SetTrigger(TriggerOf(irq, 0), -1);
    IOAS_RETURN_IF_ERROR(interrupts_.Enable(irq, count));
    config_.SetMsi(interrupts_.enabled(Irq::kMsi));
    config_.SetMsix(interrupts_.enabled(Irq::kMsix));
  }
  // What the model had to say before may reach somebody now.
  Kick();
  return {};
}

Status SoftDevice::SetTrigger(Irq irq, uint32_t vector, int eventfd) {
  DeviceLock lock(*state_);
  const uint32_t vectors = IsEvent(irq) ? 1 : interrupts_.enabled(irq);
  if (vector >= vectors) return Error{EINVAL, "the vector is not enabled"};
  return interrupts_.SetTrigger(TriggerOf(irq, vector), eventfd);
}

Status SoftDevice::SetUnmaskTrigger(int eventfd) {
  {
    DeviceLock lock(*state_);
    if (interrupts_.enabled(Irq::kIntx) == 0) return Error{EINVAL, "INTx is not enabled"};
    IOAS_RETURN_IF_ERROR(interrupts_.SetTrigger(kUnmaskTrigger, eventfd));
  }
  // The thread is to wait for this one from now on.
  worker_.Wake();
  return {};
}

void SoftDevice::MaskIntx() {
  DeviceLock lock(*state_);
  interrupts_.MaskIntx();
}

void SoftDevice::UnmaskIntx() {
  DeviceLock lock(*state_);
  interrupts_.UnmaskIntx();
}

void SoftDevice::Fire(Irq irq, uint32_t vector) {
  DeviceLock lock(*state_);
  if (!IsEvent(irq) && vector >= interrupts_.enabled(irq)) return;
  if (irq == Irq::kIntx && config_.intx_disabled()) return;
  interrupts_.Fire(TriggerOf(irq, vector));
}

}  // namespace ioas::soft
