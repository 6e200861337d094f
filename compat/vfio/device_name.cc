#include "compat/vfio/device_name.h"

#include <cctype>

namespace compat::vfio {
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

ioas::Result<bool> MatchDeviceName(std::string_view name, std::string_view own, bool takes_token) {
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
  if (token && !takes_token) return ioas::Error{EINVAL, "a VF token for a device without SR-IOV"};
  return true;
}

}  // namespace compat::vfio
