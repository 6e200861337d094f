// A PCI function's address.
#ifndef COMPAT_SETTINGS_PCI_ADDRESS_H_
#define COMPAT_SETTINGS_PCI_ADDRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "compat/settings/parsed.h"

namespace compat::settings {

struct PciAddress {
  uint16_t domain = 0;
  uint8_t bus = 0;
  uint8_t device = 0;    // 0 to 31
  uint8_t function = 0;  // 0 to 7

  bool operator==(const PciAddress&) const = default;

  // "0000:00:05.0", as the kernel names it.
  std::string ToString() const;
};

// Parses "DOMAIN:BUS:DEVICE.FUNCTION" in hexadecimal; without "DOMAIN:" it is 0.
Parsed<PciAddress> ParsePciAddress(std::string_view text);

}  // namespace compat::settings

#endif  // COMPAT_SETTINGS_PCI_ADDRESS_H_
