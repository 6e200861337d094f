#include "compat/soft/device_name.h"

#include <cctype>
#include <cstdio>

namespace compat::soft {
namespace {

constexpr std::string_view kTokenOption = "vf_token=";
constexpr size_t kUuidLength = 36;

// Whether `text` begins with a UUID (uuid_parse in lib/uuid.c).
bool BeginsWithUuid(std::string_view text) {
  if (text.size() < kUuidLength) return false;
  for (size_t i = 0; i < kUuidLength; ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string_view FormatPciAddress(const ioas::soft::PciAddress& address,
                                  char (&buffer)[kPciAddressLength]) {
  const int length = std::snprintf(buffer, sizeof(buffer), "%04x:%02x:%02x.%x", address.domain,
                                   address.bus, address.device, address.function);
  return {buffer, static_cast<size_t>(length)};
}

ioas::Result<bool> MatchDeviceName(std::string_view name, const ioas::soft::PciAddress& address) {
  char buffer[kPciAddressLength];
  const std::string_view own = FormatPciAddress(address, buffer);
  if (!name.starts_with(own)) return false;
  name.remove_prefix(own.size());
  if (name.empty()) return true;
  if (name.front() != ' ') return false;

  bool token = false;
  while (!name.empty()) {
    if (name.front() == ' ') {
      name.remove_prefix(1);
    } else if (!token && name.starts_with(kTokenOption) &&
               BeginsWithUuid(name.substr(kTokenOption.size()))) {
      token = true;
      name.remove_prefix(kTokenOption.size() + kUuidLength);
    } else {
      return ioas::Error{EINVAL, "an unknown, repeated or malformed option behind the address"};
    }
  }
  if (token) return ioas::Error{EINVAL, "a VF token for a device without SR-IOV"};
  return true;
}

}  // namespace compat::soft
