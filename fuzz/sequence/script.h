// Steps as a script of vconf (tests/conformance/vconf.c), and back.
#ifndef FUZZ_SEQUENCE_SCRIPT_H_
#define FUZZ_SEQUENCE_SCRIPT_H_

#include <istream>
#include <map>
#include <optional>
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

// Reads scripts, line by line.
class ScriptReader {
 public:
  // The step that a line is; nothing if it is none, or one that sequences do not have (forks,
  // memory of other sizes).
  std::optional<Step> Read(const std::string& line);

  // A variable of the script's, such as $start, which CREATE sets.
  void Set(const std::string& name, uint64_t value) { variables_["$" + name] = value; }

 private:
  std::string Take() { return next_ < words_.size() ? words_[next_++] : std::string(); }
  Slot TakeSlot();
  // A sum of numbers, and of a variable's memory.
  Pointer TakePointer();
  uint64_t TakeNumber() { return TakePointer().offset; }
  void TakeHead(Step& step);
  void ReadOpen(Step& step);
  void ReadDevice(Step& step);
  void ReadMemory(Step& step);
  void ReadArguments(Step& step);

  std::vector<std::string> words_;
  size_t next_ = 0;
  std::map<std::string, uint64_t> variables_ = {{"$start", uint64_t{1} << 59}};
};

// The steps of a script.
std::vector<Step> ReadScript(std::istream& script);

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_SCRIPT_H_
