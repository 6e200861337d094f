// Steps as a script of vconf (tests/conformance/vconf.c), and back.
#ifndef FUZZ_SEQUENCE_SCRIPT_H_
#define FUZZ_SEQUENCE_SCRIPT_H_

#include <istream>
#include <span>
#include <string>
#include <vector>

#include "fuzz/sequence/step.h"

namespace fuzz::sequence {

// The lines that a script begins with: its memory, and a name that stands for nothing.
std::string Preamble();

// A step's line, without its end. What vconf has no words for (an argsz of GET_STATUS, a bitmap
// that is not there) is a comment; it changes nothing.
std::string LineOf(const Step& step);

// Whether vconf makes the step's call as it is: it has an argsz, flags and a bitmap of its own for
// some.
bool HasWords(const Step& step);

// The steps of a script, as far as there are such: forks and memory of other sizes are not.
std::vector<Step> ReadScript(std::istream& script);

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_SCRIPT_H_
