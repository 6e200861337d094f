#include "tools/daemon/sessions/text.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace tools::daemon {
namespace {

// The length of the character that `text` begins with, if it is UTF-8 and no control character (C0,
// DEL, C1); otherwise 0. RFC 3629, section 4.
size_t CharacterLength(std::string_view text) {
  const auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  const auto follows = [byte](size_t i, uint8_t first = 0x80, uint8_t last = 0xbf) {
    return byte(i) >= first && byte(i) <= last;
  };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  if (lead == 0xc2) return follows(1, 0xa0) ? 2 : 0;
  if (lead > 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
  if ((lead & 0xf0) == 0xe0) {
    // Neither too long nor a surrogate.
    const bool second = follows(1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
    return second && follows(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = follows(1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
    return second && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string Printable(std::span<const char> text) {
  std::string_view rest(text.data(), strnlen(text.data(), text.size()));
  std::string printable;
  while (!rest.empty()) {
    const size_t length = CharacterLength(rest);
    printable += length == 0 ? "?" : rest.substr(0, length);
    rest.remove_prefix(std::max<size_t>(length, 1));
  }
  return printable;
}

bool IsName(std::span<const char> text) {
  return IsTerminated(text) && std::ranges::all_of(std::string_view(text.data()),
                                                   [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace tools::daemon
