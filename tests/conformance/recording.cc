#include "tests/conformance/recording.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace tests::conformance {
namespace {

// A line as vconf prints it.
std::string Numbered(int line, std::string_view text) {
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "%4d| ", line);
  return number.data() + std::string(text);
}

// Parses 'SCRIPT LINE: OUTPUT # REASON'. False if `line` is of another form.
bool ParseDeviation(const std::string& line, Deviation& deviation) {
  const size_t space = line.find(' ');
  const size_t colon = line.find(": ", space);
  const size_t hash = line.rfind(" # ");
  if (space == 0 || colon == std::string::npos || hash == std::string::npos || hash <= colon + 2) {
    return false;
  }
  const char* const number_end = line.data() + colon;
  const auto number = std::from_chars(line.data() + space + 1, number_end, deviation.line);
  if (number.ec != std::errc() || number.ptr != number_end) return false;
  deviation.script = line.substr(0, space);
  deviation.wanted = line.substr(colon + 2, hash - colon - 2);
  deviation.wanted.erase(deviation.wanted.find_last_not_of(' ') + 1);
  deviation.reason = line.substr(hash + 3);
  return !deviation.wanted.empty() && !deviation.reason.empty();
}

}  // namespace

Lines SplitLines(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<Deviation> ParseDeviations(std::string_view text, Lines& problems) {
  std::vector<Deviation> deviations;
  for (const std::string& line : SplitLines(text)) {
    if (line.empty() || line.starts_with('#')) continue;
    Deviation deviation;
    if (ParseDeviation(line, deviation)) {
      deviations.push_back(deviation);
    } else {
      problems.push_back("not 'SCRIPT LINE: OUTPUT # REASON': " + line);
    }
  }
  return deviations;
}

Lines Apply(const std::vector<Deviation>& deviations, std::string_view script, Lines recording,
            Lines& problems) {
  for (const Deviation& deviation : deviations) {
    if (deviation.script != script) continue;
    const std::string number = Numbered(deviation.line, "");
    const auto line =
        std::find_if(recording.begin(), recording.end(),
                     [&number](const std::string& each) { return each.starts_with(number); });
    const std::string wanted = number + deviation.wanted;
    if (line == recording.end()) {
      problems.push_back("no such line was recorded: " + wanted);
    } else if (*line == wanted) {
      problems.push_back("this is what was recorded: " + wanted);
    } else {
      *line = wanted;
    }
  }
  return recording;
}

}  // namespace tests::conformance
