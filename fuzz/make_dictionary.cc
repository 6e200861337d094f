// Prints what the rows of compat/decode know as a dictionary for libFuzzer: request numbers, as
// calls hand them over, the sizes that structures may have, every permitted flag, and the calls'
// names.
#include <bit>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>

#include "compat/decode/call.h"

namespace {

// A 32-bit number as memory holds it on x86.
std::string Word(uint32_t value) {
  std::string word;
  for (int shift = 0; shift < 32; shift += 8) {
    char escaped[5];
    std::snprintf(escaped, sizeof(escaped), "\\x%02X", value >> shift & 0xff);
    word += escaped;
  }
  return word;
}

}  // namespace

int main() {
  // A set: many rows have the same sizes and flags.
  std::set<std::string> words;
  for (const compat::decode::CallRow& row : compat::decode::AllCalls()) {
    words.insert(row.name);
    words.insert(Word(row.request));
    for (const uint32_t size : {row.minimal_size, row.full_size}) {
      if (size != 0) words.insert(Word(size));
    }
    if (row.flags == compat::decode::kAnyFlags) continue;
    for (uint32_t rest = row.flags; rest != 0; rest &= rest - 1) {
      words.insert(Word(uint32_t{1} << std::countr_zero(rest)));
    }
  }
  for (const std::string& word : words) std::printf("\"%s\"\n", word.c_str());
  return 0;
}
