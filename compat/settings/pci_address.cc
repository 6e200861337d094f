#include "compat/settings/pci_address.h"

#include <charconv>
#include <cstdio>
#include <system_error>

#include "compat/settings/text.h"

namespace compat::settings {
namespace {

// Reads all of `digits` as a hexadecimal number up to `maximum` into `value`.
template <typename Number>
bool ReadHex(std::string_view digits, uint32_t maximum, Number& value) {
  const char* const end = digits.data() + digits.size();
  uint32_t number = 0;
  const auto [stopped, error] = std::from_chars(digits.data(), end, number, 16);
  if (digits.empty() || error != std::errc() || stopped != end || number > maximum) return false;
  value = static_cast<Number>(number);
  return true;
}

}  // namespace

std::string PciAddress::ToString() const {
  char text[24];
  std::snprintf(text, sizeof(text), "%04x:%02x:%02x.%x", domain, bus, device, function);
  return text;
}

Parsed<PciAddress> ParsePciAddress(std::string_view text) {
  const Refusal refusal{Quoted(text) + " is not a PCI address like 0000:00:05.0"};
  PciAddress address;
  std::string_view rest = text;
  const size_t dot = rest.rfind('.');
  if (dot == std::string_view::npos) return refusal;
  if (!ReadHex(rest.substr(dot + 1), 7, address.function)) return refusal;
  rest = rest.substr(0, dot);

  const size_t before_device = rest.rfind(':');
  if (before_device == std::string_view::npos) return refusal;
  if (!ReadHex(rest.substr(before_device + 1), 31, address.device)) return refusal;
  rest = rest.substr(0, before_device);

  const size_t before_bus = rest.rfind(':');
  if (before_bus != std::string_view::npos) {
    if (!ReadHex(rest.substr(0, before_bus), UINT16_MAX, address.domain)) return refusal;
    rest = rest.substr(before_bus + 1);
  }
  if (!ReadHex(rest, UINT8_MAX, address.bus)) return refusal;
  return address;
}

}  // namespace compat::settings
