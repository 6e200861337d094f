#include "fuzz/sequence/script.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <iterator>
#include <sstream>

#include "fuzz/sequence/fields.h"

namespace fuzz::sequence {
namespace {

constexpr const char* kSlotNames[kSlots] = {"none", "null", "c", "c2", "c3", "g",
                                            "g2",   "g3",   "d", "d2", "d3", "d4"};
constexpr const char* kWords[kOps] = {
    "open",    "open",         "close",          "dup",    "api",      "ext",     "setiommu",
    "gstatus", "setcontainer", "unsetcontainer", "getdev", "devinfo",  "reset",   "map",
    "unmap",   "unmapget",     "t1info",         "dirty",  "dirtyget", "tceinfo", "enable",
    "disable", "reg",          "unreg",          "create", "remove",   "eeh",     "raw"};
constexpr const char* kVariableNames[kVariables] = {"m", "n", "s", "r", "h"};
constexpr const char* kGroupPaths[] = {"/dev/vfio/{GROUP}", "/dev/vfio/8", "/dev/vfio/99"};
// The first device is BDF.
constexpr const char* kDevices[] = {"", " 0000:00:06.0", " 0000:01:00.0", " 0000:ff:00.0"};

const char* NameOf(Slot slot) { return kSlotNames[static_cast<size_t>(slot)]; }

// A number with the suffix that makes it short, as vconf takes it.
std::string Number(uint64_t value) {
  char text[32];
  constexpr struct {
    uint32_t shift;
    char letter;
  } kSuffixes[] = {{40, 'T'}, {30, 'G'}, {20, 'M'}, {10, 'K'}};
  for (const auto& [shift, letter] : kSuffixes) {
    if (value == 0 || value % (uint64_t{1} << shift) != 0 || value >> 50 != 0) continue;
    std::snprintf(text, sizeof(text), "%" PRIu64 "%c", value >> shift, letter);
    return text;
  }
  std::snprintf(text, sizeof(text), value < 1 << 20 ? "%" PRIu64 : "0x%" PRIx64, value);
  return text;
}

std::string Address(const Pointer& pointer) {
  if (pointer.variable == Variable::kNobodys) return Number(pointer.offset);
  const std::string name = std::string("$") + kVariableNames[static_cast<size_t>(pointer.variable)];
  return pointer.offset == 0 ? name : name + "+" + Number(pointer.offset);
}

// What stands behind the descriptor of a call on a container, with argsz and flags if it has them.
std::string ContainerArguments(const Step& step) {
  const auto value = [&](size_t index) { return " " + Number(step.values[index]); };
  const std::string head = " " + Number(step.argsz) + " " + Number(step.flags);
  switch (step.op) {
    case Op::kExtension:
    case Op::kSetIommu:
      return value(0);
    case Op::kRaw:
      return value(0) + value(1);
    case Op::kMap:
      return head + " " + Address(step.memory) + value(0) + value(1);
    case Op::kUnmap:
      return head + value(0) + value(1);
    case Op::kUnmapBitmap:
    case Op::kDirtyGet:
      return value(0) + value(1) + value(2);
    case Op::kInfo:
    case Op::kTceInfo:
      return " " + Number(step.argsz);
    case Op::kDirty:
      return head;
    case Op::kRegister:
    case Op::kUnregister:
      return head + " " + Address(step.memory) + value(1);
    case Op::kCreate:
      return head + value(0) + value(1) + value(2);
    case Op::kRemove:
    case Op::kEeh:
      return head + value(0);
    default:
      return {};
  }
}

// The same of any call.
std::string Arguments(const Step& step) {
  switch (step.op) {
    case Op::kOpenContainer:
      return " /dev/vfio/vfio";
    case Op::kOpenGroup:
      return std::string(" ") + kGroupPaths[step.values[0] % 3];
    case Op::kDup:
    case Op::kSetContainer:
      return std::string(" ") + NameOf(step.other);
    case Op::kGetDevice:
      return std::string(" ") + NameOf(step.other) + kDevices[step.values[0] % 4];
    default:
      return ContainerArguments(step);
  }
}

uint64_t Parse(const std::string& term) {
  char* end = nullptr;
  const uint64_t value = std::strtoull(term.c_str(), &end, 0);
  switch (*end) {
    case 'K':
      return value << 10;
    case 'M':
      return value << 20;
    case 'G':
      return value << 30;
    case 'T':
      return value << 40;
    default:
      return value;
  }
}

}  // namespace

std::string Preamble() {
  return "anon m 4M\nanon n 256K\nmemfd s 256K\nro r 256K\nanon h 4M 2M\n"
         "open none /none\nopen null /dev/null\n";
}

bool HasWords(const Step& step) {
  switch (step.op) {
    case Op::kStatus:
    case Op::kDeviceInfo:
      return step.argsz == ArgszOf(step.op) || step.op == Op::kDeviceInfo;
    case Op::kUnmapBitmap:
    case Op::kDirtyGet:
      return step.argsz == ArgszOf(step.op) && std::has_single_bit(step.flags) &&
             step.bitmap == BitmapFault::kNone && step.values[1] <= uint64_t{1} << 30;
    default:
      return true;
  }
}

std::string LineOf(const Step& step) {
  const std::string line =
      kWords[static_cast<size_t>(step.op)] + std::string(" ") + NameOf(step.fd) + Arguments(step);
  if (HasWords(step)) return line;
  char note[80];
  std::snprintf(note, sizeof(note), " with argsz %u, flags %u, wrong bitmap %d", step.argsz,
                step.flags, static_cast<int>(step.bitmap));
  return "# not in vconf's words: " + line + note;
}

Slot ScriptReader::TakeSlot() {
  const std::string name = Take();
  const auto* const found = std::find(std::begin(kSlotNames), std::end(kSlotNames), name);
  if (found != std::end(kSlotNames)) return static_cast<Slot>(found - std::begin(kSlotNames));
  return name == "x" ? Slot::kD4 : Slot::kNone;
}

Pointer ScriptReader::TakePointer() {
  const std::string text = Take();
  Pointer pointer = {Variable::kNobodys, 0};
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of("+-", at + 1), text.size());
    std::string term = text.substr(at, end - at);
    const bool minus = term[0] == '-';
    if (term[0] == '-' || term[0] == '+') term.erase(0, 1);
    const auto* const name =
        std::find_if(std::begin(kVariableNames), std::end(kVariableNames),
                     [&](const char* each) { return term == std::string("$") + each; });
    if (name != std::end(kVariableNames)) {
      pointer.variable = static_cast<Variable>(name - std::begin(kVariableNames));
    } else {
      const uint64_t value = term[0] == '$' ? variables_[term] : Parse(term);
      pointer.offset += minus ? -value : value;
    }
    at = end;
  }
  return pointer;
}

void ScriptReader::TakeHead(Step& step) {
  step.argsz = static_cast<uint32_t>(TakeNumber());
  step.flags = static_cast<uint32_t>(TakeNumber());
}

void ScriptReader::ReadOpen(Step& step) {
  const std::string path = Take();
  step.op = path == "/dev/vfio/vfio" ? Op::kOpenContainer : Op::kOpenGroup;
  for (size_t number = 0; number < std::size(kGroupPaths); ++number) {
    if (path == kGroupPaths[number]) step.values[0] = number;
  }
}

void ScriptReader::ReadDevice(Step& step) {
  step.other = TakeSlot();
  const std::string name = " " + Take();
  for (size_t i = 1; i < std::size(kDevices); ++i) {
    if (name == kDevices[i]) step.values[0] = i;
  }
}

void ScriptReader::ReadMemory(Step& step) {
  TakeHead(step);
  step.memory = TakePointer();
  if (step.op == Op::kMap) step.values[0] = TakeNumber();
  step.values[1] = TakeNumber();
}

void ScriptReader::ReadArguments(Step& step) {
  switch (step.op) {
    case Op::kOpenContainer:
    case Op::kOpenGroup:
      return ReadOpen(step);
    case Op::kDup:
    case Op::kSetContainer:
      step.other = TakeSlot();
      return;
    case Op::kGetDevice:
      return ReadDevice(step);
    case Op::kInfo:
    case Op::kTceInfo:
      step.argsz = static_cast<uint32_t>(TakeNumber());
      return;
    case Op::kMap:
    case Op::kRegister:
    case Op::kUnregister:
      return ReadMemory(step);
    case Op::kUnmapBitmap:
    case Op::kDirtyGet:
      step.flags = step.op == Op::kDirtyGet ? 4 : 1;
      break;
    case Op::kUnmap:
    case Op::kDirty:
    case Op::kCreate:
    case Op::kRemove:
    case Op::kEeh:
      TakeHead(step);
      break;
    default:
      break;
  }
  for (uint64_t& value : step.values) value = TakeNumber();
}

std::optional<Step> ScriptReader::Read(const std::string& line) {
  std::istringstream stream(line.substr(0, line.find('#')));
  words_.assign(std::istream_iterator<std::string>(stream), {});
  next_ = 1;
  if (words_.empty()) return std::nullopt;
  const bool is_preamble = words_[0] == "open" && (words_[1] == "none" || words_[1] == "null");
  if (words_[0] == "set") {
    const std::string name = Take();
    Set(name, TakeNumber());
  }
  const auto* const word = std::find(std::begin(kWords), std::end(kWords), words_[0]);
  if (word == std::end(kWords) || is_preamble) return std::nullopt;
  Step step;
  step.op = static_cast<Op>(word - std::begin(kWords));
  step.fd = TakeSlot();
  step.argsz = ArgszOf(step.op);
  ReadArguments(step);
  return step;
}

std::vector<Step> ReadScript(std::istream& script) {
  std::vector<Step> steps;
  ScriptReader reader;
  for (std::string line; std::getline(script, line);) {
    if (const auto step = reader.Read(line)) steps.push_back(*step);
  }
  return steps;
}

}  // namespace fuzz::sequence
