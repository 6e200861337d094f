#include "tests/conformance/recording.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <regex>

namespace tests::conformance {
namespace {

// A line as vconf prints it.
std::string Numbered(int line, std::string_view text) {
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "%4d| ", line);
  return number.data() + std::string(text);
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
  static const std::regex kForm(R"((\S+) (\d+): (.*\S) +# (\S.*))");
  std::vector<Deviation> deviations;
  for (const std::string& line : SplitLines(text)) {
    std::smatch match;
    if (line.empty() || line.starts_with('#')) continue;
    if (std::regex_match(line, match, kForm)) {
      deviations.push_back({match[1], std::stoi(match[2]), match[3], match[4]});
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
