#include "compat/settings/text.h"

#include <charconv>
#include <system_error>

namespace compat::settings {
namespace {

// Takes a size suffix off the end of `digits`; returns the power of two it stands for.
unsigned TakeSuffix(std::string_view& digits) {
  if (digits.empty()) return 0;
  unsigned shift = 0;
  switch (digits.back()) {
    case 'K':
      shift = 10;
      break;
    case 'M':
      shift = 20;
      break;
    case 'G':
      shift = 30;
      break;
    case 'T':
      shift = 40;
      break;
    default:
      return 0;
  }
  digits.remove_suffix(1);
  return shift;
}

}  // namespace

std::vector<std::string> SplitEscaped(std::string_view text, char separator) {
  std::vector<std::string> elements;
  if (text.empty()) return elements;
  elements.emplace_back();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != separator) {
      elements.back() += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == separator) {
      elements.back() += separator;
      ++i;
    } else {
      elements.emplace_back();
    }
  }
  return elements;
}

std::string Escape(std::string_view text, char separator) {
  std::string escaped;
  for (const char c : text) {
    if (c == separator) escaped += separator;
    escaped += c;
  }
  return escaped;
}

Parsed<uint64_t> ParseNumber(std::string_view text) {
  const Refusal refusal{
      Quoted(text) + " is not a number of 64 bits (decimal or 0x.., with K, M, G or T behind it)"};
  std::string_view digits = text;
  const bool hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
  if (hexadecimal) digits.remove_prefix(2);
  const unsigned shift = TakeSuffix(digits);
  const char* const end = digits.data() + digits.size();
  uint64_t value = 0;
  const auto [stopped, error] = std::from_chars(digits.data(), end, value, hexadecimal ? 16 : 10);
  if (digits.empty() || error != std::errc() || stopped != end) return refusal;
  if (value > UINT64_MAX >> shift) return refusal;
  return value << shift;
}

std::string HexNumber(uint64_t value) {
  char digits[16];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value, 16);
  return "0x" + std::string(digits, end);
}

std::string Quoted(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string quoted = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      quoted += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 0xf]};
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace compat::settings
