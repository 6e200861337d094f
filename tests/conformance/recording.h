// What a script is to print: the recording of a real kernel, changed where the list of deviations
// says so.
#ifndef TESTS_CONFORMANCE_RECORDING_H_
#define TESTS_CONFORMANCE_RECORDING_H_

#include <string>
#include <string_view>
#include <vector>

namespace tests::conformance {

using Lines = std::vector<std::string>;

Lines SplitLines(std::string_view text);

// A line that is wanted otherwise than it was recorded.
struct Deviation {
  std::string script;  // "type1/01-select"
  int line;            // of the script; the number that vconf prints in front
  std::string wanted;  // what vconf is to print behind the number
  std::string reason;
};

// Reads deviations.txt. A line that is not in its form, or has no reason, is appended to
// `problems`.
std::vector<Deviation> ParseDeviations(std::string_view text, Lines& problems);

// Replaces the lines of `recording` that deviate for `script`. A deviation from a line that is not
// there, or that wants what was recorded anyway, is appended to `problems`.
Lines Apply(const std::vector<Deviation>& deviations, std::string_view script, Lines recording,
            Lines& problems);

}  // namespace tests::conformance

#endif  // TESTS_CONFORMANCE_RECORDING_H_
