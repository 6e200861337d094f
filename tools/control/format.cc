#include "tools/control/format.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <iterator>

namespace tools::control {
namespace {

template <typename... Arguments>
std::string Printed(const char* format, Arguments... arguments) {
  char text[64];
  std::snprintf(text, sizeof(text), format, arguments...);
  return text;
}

}  // namespace

std::string Hex(uint64_t value) { return Printed("0x%" PRIx64, value); }

std::string HexRange(uint64_t first, uint64_t last) { return Hex(first) + "-" + Hex(last); }

std::string Bytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  uint64_t scale = 1;
  while (unit + 1 < std::size(kUnits) && bytes / scale >= 1024) {
    scale *= 1024;
    ++unit;
  }
  if (bytes % scale == 0) return Printed("%" PRIu64 " %s", bytes / scale, kUnits[unit]);
  return Printed("%.1f %s", static_cast<double>(bytes) / static_cast<double>(scale), kUnits[unit]);
}

std::string Count(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

std::string Age(int64_t seconds) {
  seconds = std::max<int64_t>(seconds, 0);
  const int64_t minutes = seconds / 60;
  const int64_t hours = minutes / 60;
  if (minutes == 0) return Printed("%" PRId64 "s", seconds);
  if (hours == 0) return Printed("%" PRId64 "m%02" PRId64 "s", minutes, seconds % 60);
  if (hours < 24) return Printed("%" PRId64 "h%02" PRId64 "m", hours, minutes % 60);
  return Printed("%" PRId64 "d%02" PRId64 "h", hours / 24, hours % 24);
}

}  // namespace tools::control
