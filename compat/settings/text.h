// The small grammar that all settings share: lists with an escaped separator, and numbers.
#ifndef COMPAT_SETTINGS_TEXT_H_
#define COMPAT_SETTINGS_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compat/settings/parsed.h"

namespace compat::settings {

// Splits `text` at each single `separator`; a doubled one stands for the character itself. Pairs
// are taken from the left. An empty text is an empty list.
std::vector<std::string> SplitEscaped(std::string_view text, char separator);

// Doubles each `separator` in `text`: the inverse of what SplitEscaped does to one element.
std::string Escape(std::string_view text, char separator);

// Parses a number: decimal, or hexadecimal behind 0x, with an optional suffix K, M, G or T (powers
// of 1024). Refuses what does not fit in 64 bits.
Parsed<uint64_t> ParseNumber(std::string_view text);

// `value` as "0x..".
std::string HexNumber(uint64_t value);

// `text` in single quotes, for messages of one line: control characters as \xNN.
std::string Quoted(std::string_view text);

}  // namespace compat::settings

#endif  // COMPAT_SETTINGS_TEXT_H_
