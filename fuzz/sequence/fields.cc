#include "fuzz/sequence/fields.h"

#include <iterator>

namespace fuzz::sequence {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kKernelAddress = 0xffff'8000'0000'0000;

// Each table has as many entries as its field has values, or a divisor of that.
constexpr Slot kContainerFds[16] = {
    Slot::kC,  Slot::kC,  Slot::kC,  Slot::kC,  Slot::kC,  Slot::kC,  Slot::kC, Slot::kC,
    Slot::kC2, Slot::kC2, Slot::kC2, Slot::kC2, Slot::kC3, Slot::kC3, Slot::kG, Slot::kNone};
constexpr Slot kGroupFds[16] = {Slot::kG,  Slot::kG,  Slot::kG,  Slot::kG,   Slot::kG,  Slot::kG,
                                Slot::kG,  Slot::kG,  Slot::kG2, Slot::kG2,  Slot::kG2, Slot::kG2,
                                Slot::kG3, Slot::kG3, Slot::kC,  Slot::kNone};
constexpr Slot kDeviceFds[16] = {Slot::kD,  Slot::kD,  Slot::kD,  Slot::kD,   Slot::kD,  Slot::kD,
                                 Slot::kD2, Slot::kD2, Slot::kD2, Slot::kD2,  Slot::kD3, Slot::kD3,
                                 Slot::kD3, Slot::kD4, Slot::kD4, Slot::kNone};
constexpr Slot kAllFds[16] = {Slot::kC, Slot::kC2, Slot::kC3, Slot::kG,   Slot::kG2, Slot::kG3,
                              Slot::kD, Slot::kD2, Slot::kD3, Slot::kD4,  Slot::kC,  Slot::kG,
                              Slot::kD, Slot::kC,  Slot::kG,  Slot::kNone};
// What SET_CONTAINER may be given.
constexpr Slot kGivenFds[16] = {Slot::kC,    Slot::kC,  Slot::kC,  Slot::kC,   Slot::kC,  Slot::kC,
                                Slot::kC2,   Slot::kC2, Slot::kC2, Slot::kC2,  Slot::kC3, Slot::kC3,
                                Slot::kNull, Slot::kG,  Slot::kD,  Slot::kNone};

constexpr uint64_t kType1Places[8] = {0,
                                      0xfee0'0000,
                                      0xfef0'0000,
                                      uint64_t{1} << 32,
                                      uint64_t{1} << 39,
                                      uint64_t{1} << 63,
                                      ~uint64_t{0} - 0xffff,
                                      uint64_t{1} << 30};
constexpr uint64_t kSpaprPlaces[8] = {uint64_t{1} << 59,
                                      uint64_t{1} << 59,
                                      uint64_t{1} << 59,
                                      uint64_t{1} << 31,
                                      (uint64_t{1} << 59) + (uint64_t{1} << 30),
                                      ~uint64_t{0} - 0xffff,
                                      uint64_t{1} << 40,
                                      uint64_t{1} << 21};
constexpr uint64_t kOddSizes[8] = {
    0,         1,       uint64_t{1} << 63,           ~uint64_t{0} - 4095,
    kPage + 1, 4 << 20, (uint64_t{1} << 31) + kPage, ~uint64_t{0}};

constexpr uint32_t kMapFlags[32] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
                                    3, 3, 1, 1, 1, 1, 2, 2, 4, 4, 4, 0, 7, 8, 5, 0x80000000};
constexpr uint32_t kUnmapFlags[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                      0, 0, 0, 0, 2, 2, 4, 4, 4, 4, 6, 6, 1, 8, 3, 0x80000000};
constexpr uint32_t kDirtyFlags[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                      1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 0, 3, 4, 8, 0x80000000};
constexpr uint32_t kOddFlags[4] = {1, 2, 4, 0x80000000};
constexpr uint32_t kInfoArgsz[32] = {0,   15,  16,  17,  20,  23,  24,   25,   31,   32,  33,
                                     40,  48,  56,  64,  71,  72,  96,   103,  104,  112, 119,
                                     120, 121, 127, 128, 256, 512, 1024, 4096, 4096, 4096};

constexpr uint64_t kExtensions[32] = {1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      6,
                                      7,
                                      8,
                                      9,
                                      10,
                                      0,
                                      11,
                                      99,
                                      3,
                                      7,
                                      5,
                                      1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      6,
                                      7,
                                      8,
                                      9,
                                      10,
                                      0,
                                      uint64_t{1} << 32,
                                      (uint64_t{1} << 32) + 1,
                                      ~uint64_t{0},
                                      9,
                                      10};
constexpr uint64_t kType1Types[16] = {3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 9, 10, 5, 2, 7, 0};
constexpr uint64_t kSpaprTypes[16] = {7, 7, 7, 7, 7, 7, 2, 2, 2, 2, 5, 10, 8, 1, 3, 0};
constexpr uint64_t kMixedTypes[16] = {7, 7, 7, 7, 3, 3, 3, 2, 2, 1, 1, 9, 5, 99, 8, 3};
constexpr uint64_t kEehOperations[16] = {0, 5, 1, 6, 7, 4, 4, 4, 2, 3, 8, 10, 99, 9, 4, 9};
constexpr uint64_t kShifts[16] = {12, 12, 12, 12, 16, 16, 16, 21, 21, 30, 13, 0, 11, 64, 63, 24};
constexpr uint64_t kLevels[16] = {1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5, 0, 6, 1, 2};
constexpr uint64_t kPageSizes[16] = {kPage, kPage, kPage, kPage, kPage, kPage,   kPage,   kPage,
                                     kPage, kPage, kPage, kPage, kPage, 1 << 16, 1 << 21, 2048};

template <typename Value, size_t kSize>
Value Pick(const Value (&table)[kSize], size_t index) {
  return table[index % kSize];
}

}  // namespace

// 4 bits of place, 3 of how to go on, 9 of a page.
uint64_t DecodeIova(Kind kind, uint16_t field) {
  const uint32_t place = field >> 12;
  const uint64_t page = field & 0x1ff;
  uint64_t base = 0;
  if (place >= 8) {
    const bool type1 = kind == Kind::kType1 || (kind == Kind::kMixed && place < 11);
    base = type1 ? kType1Places[place - 8] : kSpaprPlaces[place - 8];
  }
  switch (field >> 9 & 7) {
    case 3:
      return base + page * kPage;
    case 4:
      return base + page * (16 * kPage);
    case 5:
      return base + page * (512 * kPage);
    case 6:
      return base - page * kPage;
    case 7:
      return base + (page & 31) * kPage + ((page & 32) != 0 ? 512 : 1);
    default:
      return base + (page & 31) * kPage;
  }
}

// 4 bits of a unit, 3 of what it is, 9 of how many.
uint64_t DecodeSize(Kind kind, uint16_t field) {
  const uint64_t count = field & 0x1ff;
  const uint32_t unit = field >> 12;
  uint32_t shift = 0;
  if (kind != Kind::kType1 && unit >= 12) shift = unit == 12 ? 4 : unit == 13 ? 9 : 18;
  if (kind != Kind::kType1 && unit == 15) shift = 0;
  switch (field >> 9 & 7) {
    case 3:
      return (count * kPage) << shift;
    case 4:
      return (((count & 31) + 1) * 16 * kPage) << shift;
    case 5:
      return uint64_t{1} << (12 + count % 52);
    case 6:
      return Pick(kOddSizes, count);
    default:
      return (((count & 15) + 1) * kPage) << shift;
  }
}

// 3 bits of a variable, 5 of a page.
Pointer DecodePointer(uint8_t field) {
  constexpr Variable kOf[8] = {Variable::kM, Variable::kM, Variable::kM, Variable::kN,
                               Variable::kS, Variable::kR, Variable::kH, Variable::kNobodys};
  constexpr uint64_t kBad[4] = {0x10000, 0, kKernelAddress, ~uint64_t{0} - 4095};
  const Variable variable = kOf[field & 7];
  const uint64_t page = field >> 3;
  if (variable == Variable::kNobodys) return {variable, kBad[page & 3]};
  const uint64_t far = variable == Variable::kH ? 2 << 20 : 1 << 16;
  if (page < 16) return {variable, page * kPage};
  if (page == 31) return {variable, 1};
  if (page == 30) return {variable, (uint64_t{4} << 20) - kPage};
  return {variable, (page - 15) * far};
}

uint32_t ArgszOf(Op op) {
  switch (op) {
    case Op::kStatus:
    case Op::kDirty:
      return 8;
    case Op::kMap:
    case Op::kTceInfo:
      return 32;
    case Op::kUnmap:
    case Op::kRegister:
    case Op::kUnregister:
    case Op::kInfo:
      return 24;
    case Op::kUnmapBitmap:
    case Op::kDirtyGet:
      return 48;
    case Op::kCreate:
      return 40;
    case Op::kRemove:
      return 16;
    case Op::kEeh:
      return 12;
    case Op::kDeviceInfo:
      return 16;
    default:
      return 0;
  }
}

uint32_t DecodeArgsz(Op op, uint8_t field) {
  if (op == Op::kInfo || op == Op::kTceInfo) return Pick(kInfoArgsz, field >> 3);
  const uint32_t right = ArgszOf(op);
  if (right == 0) return 0;
  switch (field & 7) {
    case 5:
      return right - 1;
    case 6:
      return (field & 8) != 0 ? 0 : right + 8;
    case 7:
      return 4096;
    default:
      return right;
  }
}

uint32_t DecodeFlags(Op op, uint8_t field) {
  const uint32_t index = field >> 3;
  switch (op) {
    case Op::kMap:
      return kMapFlags[index];
    case Op::kUnmap:
      return kUnmapFlags[index];
    case Op::kDirty:
      return kDirtyFlags[index];
    case Op::kUnmapBitmap:
      return index < 28 ? 1 : Pick<uint32_t>({3, 5, 9, 7}, index);
    case Op::kDirtyGet:
      return index < 30 ? 4 : Pick<uint32_t>({5, 12}, index);
    case Op::kRegister:
    case Op::kUnregister:
    case Op::kCreate:
    case Op::kRemove:
    case Op::kEeh:
      return index < 28 ? 0 : Pick(kOddFlags, index);
    default:
      return 0;
  }
}

Slot DecodeFd(Op op, uint8_t field) {
  switch (op) {
    case Op::kOpenGroup:
    case Op::kStatus:
    case Op::kSetContainer:
    case Op::kUnsetContainer:
    case Op::kGetDevice:
      return Pick(kGroupFds, field);
    case Op::kDeviceInfo:
    case Op::kReset:
      return Pick(kDeviceFds, field);
    case Op::kClose:
    case Op::kDup:
    case Op::kRaw:
      return Pick(kAllFds, field);
    default:
      return Pick(kContainerFds, field);
  }
}

Slot DecodeOther(Op op, uint8_t field) {
  const uint8_t index = field >> 4;
  switch (op) {
    case Op::kSetContainer:
      return Pick(kGivenFds, index);
    case Op::kGetDevice:
      return Pick(kDeviceFds, index);
    case Op::kDup:
      return Pick(kAllFds, index);
    default:
      return Slot::kNone;
  }
}

bool HasIova(Op op) {
  switch (op) {
    case Op::kMap:
    case Op::kUnmap:
    case Op::kUnmapBitmap:
    case Op::kDirtyGet:
    case Op::kRemove:
      return true;
    default:
      return false;
  }
}

uint64_t DecodeFirst(Kind kind, Op op, uint8_t field) {
  switch (op) {
    case Op::kOpenGroup:
      if (kind != Kind::kMixed) return field % 16 == 15 ? 2 : 0;
      return field % 16 == 15 ? 2 : field % 2;
    case Op::kGetDevice:
      if (kind != Kind::kMixed) return field % 16 == 15 ? 3 : 0;
      return field % 16 == 15 ? 3 : field % 3;
    case Op::kExtension:
      return Pick(kExtensions, field);
    case Op::kSetIommu:
      if (kind == Kind::kType1) return Pick(kType1Types, field);
      return kind == Kind::kSpapr ? Pick(kSpaprTypes, field) : Pick(kMixedTypes, field);
    case Op::kEeh:
      return Pick(kEehOperations, field);
    case Op::kCreate:
      return Pick(kShifts, field);
    case Op::kRaw:
      return field % 24;
    default:
      return 0;
  }
}

uint64_t DecodeLast(Op op, uint8_t field) {
  switch (op) {
    case Op::kCreate:
      return Pick(kLevels, field);
    case Op::kUnmapBitmap:
    case Op::kDirtyGet:
      return Pick(kPageSizes, field);
    default:
      return 0;
  }
}

BitmapFault DecodeFault(uint8_t field) {
  const uint32_t fault = field >> 4;
  return fault < 11 || fault == 15 ? BitmapFault::kNone : static_cast<BitmapFault>(fault - 10);
}

}  // namespace fuzz::sequence
