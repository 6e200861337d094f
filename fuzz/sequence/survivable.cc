#include "fuzz/sequence/survivable.h"

#include <algorithm>
#include <bit>

#include "fuzz/sequence/memory.h"
#include "fuzz/sequence/reference.h"
#include "fuzz/sequence/request.h"
#include "fuzz/sequence/script.h"

namespace fuzz::sequence {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kDefaultSize = uint64_t{1} << 31;
constexpr uint64_t kMostRegistered = 64 << 20;
// A level of a table with more bytes than these may be more than the machine has in one piece.
constexpr uint32_t kSureLevelShift = 19;

bool IsType1(uint32_t type) { return type == kType1V1 || type == kType1V2; }

bool IsOfType1(Op op) {
  return op == Op::kInfo || op == Op::kDirty || op == Op::kDirtyGet || op == Op::kUnmapBitmap;
}

bool IsOfSpapr(Op op) {
  return op == Op::kTceInfo || op == Op::kRegister || op == Op::kUnregister || op == Op::kCreate ||
         op == Op::kRemove || op == Op::kEeh;
}

bool IsKnownMemory(const Step& step) {
  if (step.op != Op::kMap && step.op != Op::kRegister && step.op != Op::kUnregister) return true;
  if (step.memory.variable == Variable::kNobodys) return true;
  return step.memory.offset <= Memory::Of().area(step.memory.variable).size;
}

// Whether there certainly is, or is not, memory for the window's table.
bool IsCertain(const Step& create) {
  const uint64_t shift = create.values[0];
  const uint64_t size = create.values[1];
  const uint64_t levels = create.values[2];
  if (shift >= 64 || levels == 0 || !std::has_single_bit(size)) return true;
  const uint64_t size_shift = std::countr_zero(size);
  if (size_shift < shift) return false;
  return (size_shift - shift + levels - 1) / levels + 3 <= kSureLevelShift;
}

// Whether an access to the window stays there, and leads nowhere that only a host without IOMMU
// hardware can lead to.
bool StaysInWindow(const Step& step, const ReferenceWindow& window) {
  if (!window.Contains(step.values[0])) return true;
  const uint64_t bytes = window.pages << window.shift;
  if (step.values[1] > bytes - (step.values[0] - window.start)) return false;
  return step.op == Op::kUnmap || window.shift == 12 || step.values[1] % kPage != 0 ||
         step.values[1] == 0;
}

bool StaysInWindows(const Step& step, const ReferenceContainer& container) {
  if (step.op != Op::kMap && step.op != Op::kUnmap) return true;
  for (const auto& window : container.windows) {
    if (window && !StaysInWindow(step, *window)) return false;
  }
  const ReferenceWindow coming = {0, kDefaultSize / kPage, 12, {}};
  return !container.is_default_pending || StaysInWindow(step, coming);
}

bool IsSurvivableBySpapr(const Step& step, const ReferenceContainer& container) {
  switch (step.op) {
    case Op::kRegister:
    case Op::kUnregister:
      return step.values[1] <= kMostRegistered;
    case Op::kCreate:
      return IsCertain(step);
    case Op::kEeh:
      // Resets and errors are for machines that have more than this to do with them.
      return step.values[0] < 5 || step.values[0] == 8 || step.values[0] > 9;
    default:
      return StaysInWindows(step, container);
  }
}

bool IsSurvivable(const Step& step, const Reference& reference) {
  constexpr uint64_t kBadArgument = 0x10000;
  if (!HasWords(step) || !IsKnownMemory(step)) return false;
  if (step.op == Op::kReset || (step.op == Op::kRaw && step.values[1] > kBadArgument)) return false;
  const ReferenceContainer* const container = reference.ContainerOf(step.fd);
  if (container == nullptr || container->type == kNoType) return true;
  if (IsType1(container->type)) return !IsOfSpapr(step.op);
  return !IsOfType1(step.op) && IsSurvivableBySpapr(step, *container);
}

}  // namespace

std::vector<Step> Survivable(Kind kind, std::span<const Step> steps) {
  Reference reference(kind);
  std::vector<Step> survivable;
  for (Step step : steps) {
    if (step.op == Op::kOpenGroup) step.values[0] = 0;
    if (step.op == Op::kGetDevice && step.values[0] != 3) step.values[0] = 0;
    if (!IsSurvivable(step, reference)) continue;
    Request request;
    if (IsPlainIoctl(step.op)) request = MakeRequest(step);
    reference.Make(step, request);
    survivable.push_back(step);
  }
  return survivable;
}

}  // namespace fuzz::sequence
