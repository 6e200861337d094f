// What a sequence consists of: calls of a legacy VFIO program, each of a few bytes.
//
// Any bytes are a sequence. Most arguments lie on a small grid, so that the calls of one sequence
// meet; some are wild. A step is a line of a script of tests/conformance/vconf.c as well
// (script.h).
#ifndef FUZZ_SEQUENCE_STEP_H_
#define FUZZ_SEQUENCE_STEP_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fuzz::sequence {

// What containers a sequence has.
enum class Kind : uint8_t { kType1, kSpapr, kMixed };

// The descriptors of a program, by name. A name stands for none until something is opened as it,
// and again once it is closed.
enum class Slot : uint8_t { kNone, kNull, kC, kC2, kC3, kG, kG2, kG3, kD, kD2, kD3, kD4 };
inline constexpr size_t kSlots = 12;

// The memory of a program: anonymous, a shared file, read-only, 2 MiB aligned for large pages.
enum class Variable : uint8_t { kM, kN, kS, kR, kH, kNobodys };
inline constexpr size_t kVariables = 5;

// An address, in the memory of a variable mostly.
struct Pointer {
  Variable variable = Variable::kM;
  uint64_t offset = 0;  // from the variable's start; of kNobodys the address itself
};

enum class Op : uint8_t {
  kOpenContainer,
  kOpenGroup,  // values: which group
  kClose,
  kDup,  // other: the copy
  kApi,
  kExtension,  // values: the extension
  kSetIommu,   // values: the type
  kStatus,
  kSetContainer,  // other: the container
  kUnsetContainer,
  kGetDevice,  // other: the device; values: which
  kDeviceInfo,
  kReset,
  kMap,          // values: IOVA, size
  kUnmap,        // values: IOVA, size
  kUnmapBitmap,  // values: IOVA, size, page size
  kInfo,         // of type 1
  kDirty,        // without a range
  kDirtyGet,     // values: IOVA, size, page size
  kTceInfo,
  kEnable,
  kDisable,
  kRegister,    // values: nothing, size
  kUnregister,  // values: nothing, size
  kCreate,      // values: page shift, size, levels
  kRemove,      // values: start
  kEeh,         // values: operation
  kRaw,         // values: number, argument
};
inline constexpr size_t kOps = 28;

// What is wrong with a bitmap that a call has written.
enum class BitmapFault : uint8_t { kNone, kUnmapped, kTooSmall, kKernels, kShortArgsz };

struct Step {
  Op op = Op::kClose;
  Slot fd = Slot::kNone;
  Slot other = Slot::kNone;
  uint32_t argsz = 0;
  uint32_t flags = 0;
  Pointer memory;
  uint64_t values[3] = {};
  BitmapFault bitmap = BitmapFault::kNone;
};

// A step's bytes, and how many steps of an input are looked at.
inline constexpr size_t kStepBytes = 8;
inline constexpr size_t kMaxSteps = 96;

// The steps of an input: its first byte says how far the program has come before them, of which the
// steps are among the result. Names that stand for nothing are Slot::kNone; a name that is opened
// again is closed before.
std::vector<Step> Decode(Kind kind, std::span<const uint8_t> bytes);

// The input that decodes to steps alike `steps` (without any before), as far as there is one: what
// has no encoding is left out.
std::vector<uint8_t> Encode(Kind kind, std::span<const Step> steps);

// The calls that names stand for: containers', groups', devices' descriptors.
bool IsContainer(Slot slot);
bool IsGroup(Slot slot);
bool IsDevice(Slot slot);

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_STEP_H_
