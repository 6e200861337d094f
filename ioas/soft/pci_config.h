// The configuration space of an emulated PCI Express function, as a program sees it through
// vfio-pci: what the kernel virtualises is virtual here too, and what it does not let programs
// write is read-only.
#ifndef IOAS_SOFT_PCI_CONFIG_H_
#define IOAS_SOFT_PCI_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ioas/soft/device_model.h"

namespace ioas::soft {

// PCI Express functions have 4096 bytes. Those from 256 on are extended capabilities, of which
// there are none: they read as zero.
inline constexpr uint32_t kConfigSize = 4096;
inline constexpr uint32_t kConfigStored = 256;

struct PciConfigState {
  uint8_t values[kConfigStored];
  uint8_t writable[kConfigStored];  // a bit for each that programs can change
  uint8_t pm_offset;                // where the capabilities lie; 0: there is none
  uint8_t pcie_offset;
  uint8_t msi_offset;
  uint8_t msix_offset;
  uint8_t msi_granted;  // log2 of the MSI vectors that are on
  bool msi_on;          // MSI was turned on by SET_IRQS
};

// What a write to configuration space asks of the device beyond the space itself.
enum ConfigEffect : uint32_t {
  kCommandWritten = 1u << 0,  // the command register
  kFunctionReset = 1u << 1,   // PCI Express function level reset
};

// A view: one pointer. The device's lock is held for every call.
class PciConfig {
 public:
  explicit PciConfig(PciConfigState* state) : state_(state) {}

  // Puts the space into the state that a program finds when it opens the device: memory decoding
  // on, bus mastering off, no BAR address.
  void Reset(const DeviceIdentity& identity, std::span<const BarLayout> bars);

  // [offset, offset + data.size()) is inside kConfigSize.
  void Read(uint32_t offset, std::span<std::byte> data) const;
  // Returns ConfigEffect bits.
  uint32_t Write(uint32_t offset, std::span<const std::byte> data);

  // Memory BARs answer: memory decoding is on and the function is not in D3.
  bool memory_enabled() const;
  bool bus_master() const;
  bool intx_disabled() const;

  // SET_IRQS has turned MSI or MSI-X on (`vectors` of them) or off (0).
  void SetMsi(uint32_t vectors);
  void SetMsix(uint32_t vectors);
  // The level of INTx, which the status register shows.
  void SetInterruptStatus(bool asserted);

 private:
  uint16_t Word(uint32_t offset) const;
  void SetWord(uint32_t offset, uint16_t value);
  void SetLong(uint32_t offset, uint32_t value);
  void MakeWritable(uint32_t offset, uint32_t mask, uint32_t bytes);

  void AddHeader(const DeviceIdentity& identity);
  void AddBar(const BarLayout& bar);
  void AddPowerManagement(uint8_t offset, uint8_t next);
  void AddMsi(uint8_t offset, uint8_t next, uint8_t vectors);
  void AddPcie(uint8_t offset, uint8_t next);
  void AddMsix(uint8_t offset, uint8_t next, const DeviceIdentity& identity);
  void FixPowerState(uint8_t before);
  void FixMsiControl();

  PciConfigState* state_;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_PCI_CONFIG_H_
