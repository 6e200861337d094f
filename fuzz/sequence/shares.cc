// Which calls inputs of a kind are made of, and how often.
#include <array>

#include "fuzz/sequence/fields.h"

namespace fuzz::sequence {
namespace {

struct Share {
  Op op;
  uint32_t share;
};

constexpr size_t kFields = 64;  // values that a step's first byte tells apart

constexpr Share kType1Shares[] = {
    {Op::kMap, 14},      {Op::kUnmap, 10},     {Op::kUnmapBitmap, 4},   {Op::kDirty, 3},
    {Op::kDirtyGet, 5},  {Op::kInfo, 3},       {Op::kOpenContainer, 2}, {Op::kOpenGroup, 2},
    {Op::kClose, 2},     {Op::kDup, 1},        {Op::kApi, 1},           {Op::kExtension, 1},
    {Op::kSetIommu, 3},  {Op::kStatus, 1},     {Op::kSetContainer, 2},  {Op::kUnsetContainer, 2},
    {Op::kGetDevice, 1}, {Op::kDeviceInfo, 1}, {Op::kReset, 1},         {Op::kRaw, 2},
    {Op::kTceInfo, 1},   {Op::kRegister, 1},   {Op::kEnable, 1}};

constexpr Share kSpaprShares[] = {{Op::kMap, 11},
                                  {Op::kUnmap, 6},
                                  {Op::kRegister, 6},
                                  {Op::kUnregister, 4},
                                  {Op::kCreate, 5},
                                  {Op::kRemove, 4},
                                  {Op::kTceInfo, 2},
                                  {Op::kEnable, 2},
                                  {Op::kDisable, 2},
                                  {Op::kEeh, 2},
                                  {Op::kOpenContainer, 2},
                                  {Op::kOpenGroup, 2},
                                  {Op::kClose, 2},
                                  {Op::kDup, 1},
                                  {Op::kExtension, 1},
                                  {Op::kSetIommu, 2},
                                  {Op::kStatus, 1},
                                  {Op::kSetContainer, 2},
                                  {Op::kUnsetContainer, 2},
                                  {Op::kGetDevice, 1},
                                  {Op::kDeviceInfo, 1},
                                  {Op::kReset, 1},
                                  {Op::kRaw, 1},
                                  {Op::kInfo, 1}};

constexpr Share kMixedShares[] = {
    {Op::kMap, 7},       {Op::kUnmap, 5},      {Op::kUnmapBitmap, 1},   {Op::kDirty, 1},
    {Op::kDirtyGet, 1},  {Op::kRegister, 3},   {Op::kUnregister, 2},    {Op::kCreate, 2},
    {Op::kRemove, 2},    {Op::kInfo, 1},       {Op::kTceInfo, 1},       {Op::kEnable, 1},
    {Op::kDisable, 1},   {Op::kEeh, 2},        {Op::kOpenContainer, 3}, {Op::kOpenGroup, 3},
    {Op::kClose, 5},     {Op::kDup, 2},        {Op::kApi, 1},           {Op::kExtension, 1},
    {Op::kSetIommu, 4},  {Op::kStatus, 2},     {Op::kSetContainer, 4},  {Op::kUnsetContainer, 3},
    {Op::kGetDevice, 3}, {Op::kDeviceInfo, 1}, {Op::kReset, 1},         {Op::kRaw, 1}};

template <size_t kCount>
constexpr std::array<Op, kFields> Spread(const Share (&shares)[kCount]) {
  std::array<Op, kFields> ops{};
  size_t next = 0;
  for (const Share& share : shares) {
    for (uint32_t i = 0; i < share.share; ++i) ops[next++] = share.op;
  }
  return ops;
}

constexpr std::array<Op, kFields> kType1Ops = Spread(kType1Shares);
constexpr std::array<Op, kFields> kSpaprOps = Spread(kSpaprShares);
constexpr std::array<Op, kFields> kMixedOps = Spread(kMixedShares);

}  // namespace

std::span<const Op> OpsOf(Kind kind) {
  switch (kind) {
    case Kind::kType1:
      return kType1Ops;
    case Kind::kSpapr:
      return kSpaprOps;
    default:
      return kMixedOps;
  }
}

}  // namespace fuzz::sequence
