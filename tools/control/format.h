// Values as people read them.
#ifndef TOOLS_CONTROL_FORMAT_H_
#define TOOLS_CONTROL_FORMAT_H_

#include <cstdint>
#include <string>

namespace tools::control {

// "0x7f00", in lower case.
std::string Hex(uint64_t value);

// "0x1000-0x1fff".
std::string HexRange(uint64_t first, uint64_t last);

// Bytes with a binary unit and at most one digit behind the point: "512 B", "4 KiB", "1.5 GiB".
std::string Bytes(uint64_t bytes);

// A number with commas: "1,234,567".
std::string Count(uint64_t count);

// Seconds in the two largest units: "5s", "3m20s", "2h05m", "4d03h".
std::string Age(int64_t seconds);

}  // namespace tools::control

#endif  // TOOLS_CONTROL_FORMAT_H_
