#include "fuzz/sequence/step.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "compat/abi/vfio_container.h"
#include "fuzz/sequence/fields.h"

namespace fuzz::sequence {
namespace {

constexpr uint64_t kRawArguments[4] = {0, 0x10000, 0, uint64_t{0xffff} << 48};

// A number for a raw call that does what it does whatever the argument: ioctl(fd, number, bad).
void DecodeRaw(Step& step, uint8_t last) {
  step.values[1] = kRawArguments[last & 3];
  // BIND_IOMMUFD depends on the kernel's configuration; SET_IRQS and RESET act on no argument.
  constexpr uint64_t kDevices[8] = {0, 3, 7, 8, 12, 13, 17, 21};
  if (IsDevice(step.fd)) step.values[0] = kDevices[step.values[0] % 8];
}

// An unmap of all mappings has an empty range, mostly.
bool IsWholeRange(uint32_t flags, uint8_t last) {
  return (flags & compat::abi::kDmaUnmapFlagAll) != 0 && last < 200;
}

Step DecodeStep(Kind kind, std::span<const uint8_t, kStepBytes> bytes) {
  const std::span<const Op> ops = OpsOf(kind);
  Step step;
  step.op = ops[bytes[0] % ops.size()];
  step.fd = DecodeFd(step.op, bytes[1]);
  step.other = DecodeOther(step.op, bytes[1]);
  step.argsz = DecodeArgsz(step.op, bytes[2]);
  step.flags = DecodeFlags(step.op, bytes[2]);
  const auto wide = [&](size_t at) {
    return static_cast<uint16_t>(bytes[at] | unsigned{bytes[at + 1]} << 8);
  };
  step.values[0] =
      HasIova(step.op) ? DecodeIova(kind, wide(3)) : DecodeFirst(kind, step.op, bytes[3]);
  step.values[1] = DecodeSize(kind, wide(5));
  step.values[2] = DecodeLast(step.op, bytes[7]);
  step.memory = DecodePointer(bytes[7]);
  if (step.op == Op::kUnmapBitmap || step.op == Op::kDirtyGet) step.bitmap = DecodeFault(bytes[7]);
  if (step.op == Op::kRaw) DecodeRaw(step, bytes[7]);
  // What the kernel makes of a window that is smaller than its pages is anybody's guess.
  if (step.op == Op::kCreate && step.values[0] < 64 && std::has_single_bit(step.values[1])) {
    step.values[1] = std::max(step.values[1], uint64_t{1} << step.values[0]);
  }
  if (step.op == Op::kUnmap && IsWholeRange(step.flags, bytes[7])) {
    step.values[0] = step.values[1] = 0;
  }
  return step;
}

Step Make(Op op, Slot fd, Slot other = Slot::kNone, uint64_t value = 0) {
  Step step;
  step.op = op;
  step.fd = fd;
  step.other = other;
  step.values[0] = value;
  step.argsz = ArgszOf(op);
  return step;
}

// How far the program has come before an input's steps.
enum Start { kNothing, kAttached, kChosen, kRegistered, kTracking, kTwoGroups };

void AddStart(Start start, uint64_t type, std::vector<Step>& steps) {
  if (start == kNothing) return;
  steps.push_back(Make(Op::kOpenContainer, Slot::kC));
  steps.push_back(Make(Op::kOpenGroup, Slot::kG));
  steps.push_back(Make(Op::kSetContainer, Slot::kG, Slot::kC));
  if (start == kAttached) return;
  steps.push_back(Make(Op::kSetIommu, Slot::kC, Slot::kNone, type));
  if (start == kTwoGroups) {
    steps.push_back(Make(Op::kOpenGroup, Slot::kG2, Slot::kNone, 1));
    steps.push_back(Make(Op::kSetContainer, Slot::kG2, Slot::kC));
  }
  if (start == kTracking) {
    steps.push_back(Make(Op::kDirty, Slot::kC));
    steps.back().flags = 1;
  }
  if (start != kRegistered) return;
  steps.push_back(Make(type == 2 ? Op::kEnable : Op::kRegister, Slot::kC));
  steps.back().values[1] = 1 << 20;
}

void AddStart(Kind kind, uint8_t field, std::vector<Step>& steps) {
  struct Beginning {
    Start start;
    uint64_t type;
  };
  constexpr Beginning kBeginnings[3][8] = {{{kNothing, 0},
                                            {kChosen, 3},
                                            {kChosen, 3},
                                            {kChosen, 3},
                                            {kChosen, 1},
                                            {kChosen, 1},
                                            {kTracking, 3},
                                            {kAttached, 0}},
                                           {{kNothing, 0},
                                            {kRegistered, 7},
                                            {kRegistered, 7},
                                            {kRegistered, 7},
                                            {kRegistered, 2},
                                            {kChosen, 7},
                                            {kChosen, 2},
                                            {kAttached, 0}},
                                           {{kNothing, 0},
                                            {kAttached, 0},
                                            {kTwoGroups, 3},
                                            {kTwoGroups, 7},
                                            {kRegistered, 7},
                                            {kRegistered, 2},
                                            {kChosen, 1},
                                            {kTwoGroups, 2}}};
  const Beginning& beginning = kBeginnings[static_cast<size_t>(kind)][field % 8];
  AddStart(beginning.start, beginning.type, steps);
}

bool Opens(Op op) { return op == Op::kOpenContainer || op == Op::kOpenGroup; }

bool IsSameKind(Slot one, Slot other) {
  return (IsContainer(one) && IsContainer(other)) || (IsGroup(one) && IsGroup(other)) ||
         (IsDevice(one) && IsDevice(other));
}

// Follows which names stand for something.
class Names {
 public:
  explicit Names(std::vector<Step>& out) : out_(out) { named_[Index(Slot::kNull)] = true; }

  void Add(Step step) {
    if (Opens(step.op)) {
      // A name of another kind would make for a confusing script.
      const bool fits = step.op == Op::kOpenContainer ? IsContainer(step.fd) : IsGroup(step.fd);
      if (!fits) step.fd = step.op == Op::kOpenContainer ? Slot::kC : Slot::kG;
      Name(step.fd);
    } else {
      if (!named_[Index(step.fd)]) step.fd = Slot::kNone;
      if (step.op == Op::kSetContainer && !named_[Index(step.other)]) step.other = Slot::kNone;
      if (step.op == Op::kGetDevice)
        Name(step.other = IsDevice(step.other) ? step.other : Slot::kD);
      if (step.op == Op::kDup) {
        if (step.fd == step.other || !IsSameKind(step.fd, step.other)) return;
        Name(step.other);
      }
      // Nobody's descriptor is closed by nobody.
      if (step.op == Op::kClose && step.fd == Slot::kNone) return;
      if (step.op == Op::kClose) named_[Index(step.fd)] = false;
    }
    out_.push_back(step);
  }

 private:
  static size_t Index(Slot slot) { return static_cast<size_t>(slot); }

  void Name(Slot slot) {
    if (named_[Index(slot)]) out_.push_back(Make(Op::kClose, slot));
    named_[Index(slot)] = true;
  }

  std::vector<Step>& out_;
  std::array<bool, kSlots> named_{};
};

// Finds the field that `fits`, among `count`.
template <typename Fits>
std::optional<uint32_t> Search(uint32_t count, Fits fits) {
  for (uint32_t field = 0; field < count; ++field) {
    if (fits(field)) return field;
  }
  return std::nullopt;
}

bool operator==(const Pointer& one, const Pointer& other) {
  return one.variable == other.variable && one.offset == other.offset;
}

// The last byte, which has several meanings.
std::optional<uint32_t> SearchLast(const Step& step) {
  return Search(256, [&](uint8_t field) {
    switch (step.op) {
      case Op::kMap:
      case Op::kRegister:
      case Op::kUnregister:
        return DecodePointer(field) == step.memory;
      case Op::kCreate:
        return DecodeLast(step.op, field) == step.values[2];
      case Op::kUnmapBitmap:
      case Op::kDirtyGet:
        return DecodeLast(step.op, field) == step.values[2] && DecodeFault(field) == step.bitmap;
      case Op::kRaw:
        return kRawArguments[field & 3] == step.values[1];
      case Op::kUnmap:
        return !IsWholeRange(step.flags, field) || (step.values[0] | step.values[1]) == 0;
      default:
        return true;
    }
  });
}

bool EncodeStep(Kind kind, const Step& step, std::vector<uint8_t>& bytes) {
  const std::span<const Op> ops = OpsOf(kind);
  const auto op = Search(ops.size(), [&](uint8_t field) { return ops[field] == step.op; });
  const auto fd = Search(256, [&](uint8_t field) {
    return DecodeFd(step.op, field) == step.fd && DecodeOther(step.op, field) == step.other;
  });
  const auto head = Search(256, [&](uint8_t field) {
    return DecodeArgsz(step.op, field) == step.argsz && DecodeFlags(step.op, field) == step.flags;
  });
  const auto first = Search(1 << 16, [&](uint16_t field) {
    if (HasIova(step.op)) return DecodeIova(kind, field) == step.values[0];
    return step.op == Op::kRaw && IsDevice(step.fd)
               ? field == 0
               : DecodeFirst(kind, step.op, static_cast<uint8_t>(field)) == step.values[0];
  });
  const bool has_size = step.op == Op::kCreate || step.op == Op::kRegister ||
                        step.op == Op::kUnregister || (HasIova(step.op) && step.op != Op::kRemove);
  const auto size = Search(1 << 16, [&](uint16_t field) {
    return !has_size || DecodeSize(kind, field) == step.values[1];
  });
  const auto last = SearchLast(step);
  if (!op || !fd || !head || !first || !size || !last) return false;
  for (const uint32_t field :
       {*op, *fd, *head, *first & 0xff, *first >> 8, *size & 0xff, *size >> 8, *last}) {
    bytes.push_back(static_cast<uint8_t>(field));
  }
  return true;
}

}  // namespace

bool IsContainer(Slot slot) { return slot >= Slot::kC && slot <= Slot::kC3; }
bool IsGroup(Slot slot) { return slot >= Slot::kG && slot <= Slot::kG3; }
bool IsDevice(Slot slot) { return slot >= Slot::kD; }

std::vector<Step> Decode(Kind kind, std::span<const uint8_t> bytes) {
  std::vector<Step> raw;
  if (!bytes.empty()) {
    AddStart(kind, bytes[0], raw);
    bytes = bytes.subspan(1);
  }
  for (size_t count = 0; count < kMaxSteps && bytes.size() >= kStepBytes; ++count) {
    raw.push_back(DecodeStep(kind, bytes.first<kStepBytes>()));
    bytes = bytes.subspan(kStepBytes);
  }
  std::vector<Step> steps;
  Names names(steps);
  for (const Step& step : raw) names.Add(step);
  return steps;
}

std::vector<uint8_t> Encode(Kind kind, std::span<const Step> steps) {
  std::vector<uint8_t> bytes = {0};
  for (const Step& step : steps) EncodeStep(kind, step, bytes);
  return bytes;
}

}  // namespace fuzz::sequence
