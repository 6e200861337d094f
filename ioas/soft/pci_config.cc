#include "ioas/soft/pci_config.h"

#include <linux/pci_regs.h>

#include <algorithm>
#include <bit>

namespace ioas::soft {
namespace {

// Where capabilities lie. All are long-aligned and do not overlap.
constexpr uint8_t kPmOffset = 0x40;
constexpr uint8_t kMsiOffset = 0x50;
constexpr uint8_t kPcieOffset = 0x70;
constexpr uint8_t kMsixOffset = 0xb0;

constexpr uint16_t kCommandWritable = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                      PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                                      PCI_COMMAND_INTX_DISABLE;
// Fields that linux/pci_regs.h has no value for.
constexpr uint16_t kPmVersion = 3;
constexpr uint16_t kPcieVersion = 2;
constexpr uint32_t kPowerStateD3hot = 3;
constexpr uint32_t kLinkSpeed8G = 3;
constexpr uint32_t kLinkWidth4 = 4 << 4;
constexpr uint32_t kPayload256 = 1;
constexpr uint16_t kReadRequest512 = 2 << 12;

bool Touches(uint32_t offset, size_t size, uint32_t field, uint32_t field_size) {
  return offset < field + field_size && field < offset + size;
}

}  // namespace

uint16_t PciConfig::Word(uint32_t offset) const {
  return static_cast<uint16_t>(state_->values[offset] | state_->values[offset + 1] << 8);
}

void PciConfig::SetWord(uint32_t offset, uint16_t value) {
  state_->values[offset] = static_cast<uint8_t>(value);
  state_->values[offset + 1] = static_cast<uint8_t>(value >> 8);
}

void PciConfig::SetLong(uint32_t offset, uint32_t value) {
  SetWord(offset, static_cast<uint16_t>(value));
  SetWord(offset + 2, static_cast<uint16_t>(value >> 16));
}

void PciConfig::MakeWritable(uint32_t offset, uint32_t mask, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; ++i) {
    state_->writable[offset + i] = static_cast<uint8_t>(mask >> 8 * i);
  }
}

void PciConfig::Reset(const DeviceIdentity& identity, std::span<const BarLayout> bars) {
  *state_ = {};
  AddHeader(identity);
  for (const BarLayout& bar : bars) AddBar(bar);
  AddPowerManagement(kPmOffset, identity.msi_vectors != 0 ? kMsiOffset : kPcieOffset);
  if (identity.msi_vectors != 0) AddMsi(kMsiOffset, kPcieOffset, identity.msi_vectors);
  AddPcie(kPcieOffset, identity.msix_vectors != 0 ? kMsixOffset : 0);
  if (identity.msix_vectors != 0) AddMsix(kMsixOffset, 0, identity);
}

void PciConfig::AddHeader(const DeviceIdentity& identity) {
  SetWord(PCI_VENDOR_ID, identity.vendor_id);
  SetWord(PCI_DEVICE_ID, identity.device_id);
  SetWord(PCI_COMMAND, PCI_COMMAND_MEMORY);
  MakeWritable(PCI_COMMAND, kCommandWritable, 2);
  SetWord(PCI_STATUS, PCI_STATUS_CAP_LIST);
  SetLong(PCI_CLASS_REVISION, identity.class_code << 8 | identity.revision_id);
  MakeWritable(PCI_CACHE_LINE_SIZE, 0xff, 1);
  SetWord(PCI_SUBSYSTEM_VENDOR_ID, identity.subsystem_vendor_id);
  SetWord(PCI_SUBSYSTEM_ID, identity.subsystem_id);
  state_->values[PCI_CAPABILITY_LIST] = kPmOffset;
  MakeWritable(PCI_INTERRUPT_LINE, 0xff, 1);
  state_->values[PCI_INTERRUPT_PIN] = 1;
}

void PciConfig::AddBar(const BarLayout& bar) {
  const uint32_t offset = PCI_BASE_ADDRESS_0 + uint32_t{bar.index} * 4;
  uint32_t flags = PCI_BASE_ADDRESS_SPACE_MEMORY;
  if (bar.is_64bit) flags |= PCI_BASE_ADDRESS_MEM_TYPE_64;
  if (bar.prefetchable) flags |= PCI_BASE_ADDRESS_MEM_PREFETCH;
  SetLong(offset, flags);
  // Only address bits above the size can be written, which is how programs find the size out.
  MakeWritable(offset, ~(bar.size - 1), 4);
  if (bar.is_64bit) MakeWritable(offset + 4, ~0u, 4);
}

void PciConfig::AddPowerManagement(uint8_t offset, uint8_t next) {
  state_->pm_offset = offset;
  state_->values[offset] = PCI_CAP_ID_PM;
  state_->values[offset + 1] = next;
  SetWord(offset + PCI_PM_PMC, kPmVersion);
  SetWord(offset + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
  MakeWritable(offset + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK, 2);
}

void PciConfig::AddMsi(uint8_t offset, uint8_t next, uint8_t vectors) {
  state_->msi_offset = offset;
  state_->values[offset] = PCI_CAP_ID_MSI;
  state_->values[offset + 1] = next;
  const auto log2 = static_cast<uint16_t>(std::bit_width(vectors) - 1);
  SetWord(offset + PCI_MSI_FLAGS, static_cast<uint16_t>(PCI_MSI_FLAGS_64BIT | log2 << 1));
  MakeWritable(offset + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, 2);
  MakeWritable(offset + PCI_MSI_ADDRESS_LO, ~3u, 4);
  MakeWritable(offset + PCI_MSI_ADDRESS_HI, ~0u, 4);
  MakeWritable(offset + PCI_MSI_DATA_64, 0xffff, 2);
}

void PciConfig::AddPcie(uint8_t offset, uint8_t next) {
  state_->pcie_offset = offset;
  state_->values[offset] = PCI_CAP_ID_EXP;
  state_->values[offset + 1] = next;
  SetWord(offset + PCI_EXP_FLAGS, kPcieVersion | PCI_EXP_TYPE_ENDPOINT << 4);
  SetLong(offset + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR | kPayload256);
  SetWord(offset + PCI_EXP_DEVCTL, kReadRequest512);
  MakeWritable(offset + PCI_EXP_DEVCTL, 0xffff & ~uint32_t{PCI_EXP_DEVCTL_PHANTOM}, 2);
  SetLong(offset + PCI_EXP_LNKCAP, kLinkSpeed8G | kLinkWidth4);
  SetWord(offset + PCI_EXP_LNKSTA, kLinkSpeed8G | kLinkWidth4);
  MakeWritable(offset + PCI_EXP_DEVCTL2, 0xffff & ~uint32_t{PCI_EXP_DEVCTL2_ARI}, 2);
}

// Read-only: the kernel turns MSI-X on and off itself, on SET_IRQS.
void PciConfig::AddMsix(uint8_t offset, uint8_t next, const DeviceIdentity& identity) {
  state_->msix_offset = offset;
  state_->values[offset] = PCI_CAP_ID_MSIX;
  state_->values[offset + 1] = next;
  SetWord(offset + PCI_MSIX_FLAGS, static_cast<uint16_t>(identity.msix_vectors - 1));
  SetLong(offset + PCI_MSIX_TABLE, identity.msix_table_offset | identity.msix_bar);
  SetLong(offset + PCI_MSIX_PBA, identity.msix_pba_offset | identity.msix_bar);
}

void PciConfig::Read(uint32_t offset, std::span<std::byte> data) const {
  for (std::byte& byte : data) {
    byte = offset < kConfigStored ? std::byte{state_->values[offset]} : std::byte{0};
    ++offset;
  }
}

uint32_t PciConfig::Write(uint32_t offset, std::span<const std::byte> data) {
  const uint8_t power_before = state_->values[state_->pm_offset + PCI_PM_CTRL];
  uint32_t at = offset;
  for (const std::byte byte : data) {
    if (at >= kConfigStored) break;
    const uint8_t mask = state_->writable[at];
    state_->values[at] =
        static_cast<uint8_t>((state_->values[at] & ~mask) | (static_cast<uint8_t>(byte) & mask));
    ++at;
  }

  FixPowerState(power_before);
  if (state_->msi_offset != 0) FixMsiControl();
  uint32_t effects = 0;
  if (Touches(offset, data.size(), PCI_COMMAND, 2)) effects |= kCommandWritten;
  const uint32_t control = state_->pcie_offset + PCI_EXP_DEVCTL;
  if ((Word(control) & PCI_EXP_DEVCTL_BCR_FLR) != 0) {
    // The bit always reads as zero.
    SetWord(control, static_cast<uint16_t>(Word(control) & ~PCI_EXP_DEVCTL_BCR_FLR));
    effects |= kFunctionReset;
  }
  return effects;
}

// D1 and D2 are not supported: a write that asks for them is dropped.
void PciConfig::FixPowerState(uint8_t before) {
  uint8_t& control = state_->values[state_->pm_offset + PCI_PM_CTRL];
  const uint32_t wanted = control & PCI_PM_CTRL_STATE_MASK;
  if (wanted != 0 && wanted != kPowerStateD3hot) control = before;
}

// Behaviour: vfio_msi_config_write in drivers/vfio/pci/vfio_pci_config.c: the enable bit sticks
// only while SET_IRQS has MSI on, and no more vectors can be asked for than it has.
void PciConfig::FixMsiControl() {
  const uint32_t offset = state_->msi_offset + PCI_MSI_FLAGS;
  uint16_t control = Word(offset);
  if (!state_->msi_on) control &= static_cast<uint16_t>(~PCI_MSI_FLAGS_ENABLE);
  const uint32_t asked = (control & PCI_MSI_FLAGS_QSIZE) >> 4;
  const auto granted = static_cast<uint16_t>(std::min<uint32_t>(asked, state_->msi_granted));
  control = static_cast<uint16_t>((control & ~PCI_MSI_FLAGS_QSIZE) | granted << 4);
  SetWord(offset, control);
}

bool PciConfig::memory_enabled() const {
  const uint32_t power = state_->values[state_->pm_offset + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK;
  return power != kPowerStateD3hot && (Word(PCI_COMMAND) & PCI_COMMAND_MEMORY) != 0;
}

bool PciConfig::bus_master() const { return (Word(PCI_COMMAND) & PCI_COMMAND_MASTER) != 0; }

bool PciConfig::intx_disabled() const {
  return (Word(PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) != 0;
}

void PciConfig::SetMsi(uint32_t vectors) {
  state_->msi_on = vectors != 0;
  if (vectors != 0) {
    state_->msi_granted = static_cast<uint8_t>(std::bit_width(std::bit_ceil(vectors)) - 1);
  }
}

void PciConfig::SetMsix(uint32_t vectors) {
  if (state_->msix_offset == 0) return;
  const uint32_t offset = state_->msix_offset + PCI_MSIX_FLAGS;
  const uint32_t flags = Word(offset) & ~uint32_t{PCI_MSIX_FLAGS_ENABLE};
  SetWord(offset, static_cast<uint16_t>(vectors != 0 ? flags | PCI_MSIX_FLAGS_ENABLE : flags));
}

void PciConfig::SetInterruptStatus(bool asserted) {
  const uint32_t status = Word(PCI_STATUS) & ~uint32_t{PCI_STATUS_INTERRUPT};
  SetWord(PCI_STATUS, static_cast<uint16_t>(asserted ? status | PCI_STATUS_INTERRUPT : status));
}

}  // namespace ioas::soft
